//! Made-up conversations that an index finds as hard as real ones, the same for the same seed.
//!
//! Two people talk for months: a session every few days, each about a few topics, some 25 words a turn. Words follow
//! Zipf's law over a few thousand forms, so that lists of common words are long and those of rare words short; topics
//! keep words together, as talk does.
//!
//! # Deliberately absent
//!
//! Meaning. What is found in these texts says nothing about quality; that is what real conversations are for.

use cmg_memory::time::Timestamp;
use serde::Serialize;

/// One turn, as chat interfaces write it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Turn {
    /// `t0`, `t1`, … within its conversation.
    pub(crate) id: String,
    /// `user` or `assistant`.
    pub(crate) role: &'static str,
    /// The speaker.
    pub(crate) name: &'static str,
    /// The words.
    pub(crate) content: String,
    /// When it was said; never before the turn before it.
    pub(crate) timestamp: Timestamp,
}

/// Chance that can be repeated: `SplitMix64`.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The chance of this seed, apart from that of every other stream.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed ^ stream.wrapping_mul(0xD134_2543_DE82_EF95).rotate_left(17));
        chance.next();
        chance
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most.saturating_sub(least) + 1)
    }

    /// True in so many of a hundred cases.
    fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// A number from 0 to below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit into an f64")]
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of these, the first one where chance finds none.
    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> Option<&'a T> {
        let count = u64::try_from(of.len()).ok().filter(|count| *count > 0)?;
        usize::try_from(self.next() % count).ok().and_then(|at| of.get(at)).copied()
    }
}

/// Words by rank, the first ones often, the last ones seldom.
#[derive(Debug)]
struct Zipf {
    words: Vec<String>,
    /// The sums of the weights up to each word.
    sums: Vec<f64>,
}

impl Zipf {
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    fn new(words: Vec<String>) -> Self {
        let mut sum = 0.0;
        let weigh = |rank: usize| {
            sum += 1.0 / (rank as f64 + 2.0);
            sum
        };
        let sums = (0..words.len()).map(weigh).collect();
        Self { words, sums }
    }

    fn pick(&self, chance: &mut Chance) -> &str {
        let aim = chance.share() * self.sums.last().copied().unwrap_or_default();
        let at = self.sums.partition_point(|sum| *sum < aim);
        self.words.get(at).map_or("word", String::as_str)
    }
}

/// All words of the made-up language. Made once, shared by everybody who speaks it.
#[derive(Debug)]
pub(crate) struct Language {
    glue: Zipf,
    general: Zipf,
    topics: Vec<Zipf>,
}

impl Language {
    /// The language; it is always the same.
    pub(crate) fn new() -> Self {
        let own = |words: &str| words.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let topic = |words: &&str| Zipf::new(spread(forms(&own(words))));
        Self {
            glue: Zipf::new(own(GLUE)),
            general: Zipf::new(spread(forms(&own(GENERAL)))),
            topics: TOPICS.iter().map(topic).collect(),
        }
    }

    /// Different words that it can say.
    #[cfg(test)]
    fn size(&self) -> usize {
        let lists = self.topics.iter().chain([&self.glue, &self.general]);
        lists.flat_map(|list| &list.words).collect::<std::collections::BTreeSet<_>>().len()
    }

    fn topic(&self, chance: &mut Chance) -> &Zipf {
        let at = usize::try_from(chance.next() % 1024).unwrap_or_default() % self.topics.len().max(1);
        self.topics.get(at).unwrap_or(&self.general)
    }

    /// The conversation of this number, without an end.
    pub(crate) fn conversation(&self, seed: u64, number: u64) -> Conversation<'_> {
        let mut chance = Chance::new(seed, number);
        let first = usize::try_from(chance.next() % 64).unwrap_or_default();
        let name = |at: usize| NAMES.get(at % NAMES.len()).copied().unwrap_or("Ann");
        Conversation {
            language: self,
            speakers: [name(first), name(first + 1 + first / NAMES.len())],
            topics: Vec::new(),
            // 2024-01-08T08:00:00Z, and up to 90 days later.
            now: Timestamp(1_704_700_800_000_000 + micros(chance.between(0, 90 * 86_400))),
            left: 0,
            turn: 0,
            chance,
        }
    }

    /// A purpose of 5 to 12 content words, most of them of one topic.
    pub(crate) fn purpose(&self, chance: &mut Chance) -> String {
        let topic = self.topic(chance);
        let mut text = String::new();
        push(&mut text, chance.pick(&OPENINGS).unwrap_or("about"));
        if chance.percent(40) {
            push(&mut text, chance.pick(&NAMES).unwrap_or("Ann"));
        }
        for _ in 0..chance.between(5, 12) {
            let list = if chance.percent(70) { topic } else { &self.general };
            push(&mut text, list.pick(chance));
            if chance.percent(30) {
                push(&mut text, self.glue.pick(chance));
            }
        }
        text
    }
}

/// Two people talking.
#[derive(Debug)]
pub(crate) struct Conversation<'a> {
    language: &'a Language,
    chance: Chance,
    speakers: [&'static str; 2],
    topics: Vec<&'a Zipf>,
    now: Timestamp,
    /// Turns left in this session.
    left: u64,
    turn: u64,
}

impl Conversation<'_> {
    /// Its next turns.
    pub(crate) fn next_turns(&mut self, count: usize) -> Vec<Turn> {
        (0..count).map(|_| self.next_turn()).collect()
    }

    fn next_turn(&mut self) -> Turn {
        if self.left == 0 {
            self.open_session();
        }
        self.left -= 1;
        self.now.0 += micros(self.chance.between(8, 120));
        let first = self.turn.is_multiple_of(2);
        let [one, other] = self.speakers;
        let content = self.words();
        let id = format!("t{}", self.turn);
        self.turn += 1;
        let (role, name) = if first { ("user", one) } else { ("assistant", other) };
        Turn { id, role, name, content, timestamp: self.now }
    }

    fn open_session(&mut self) {
        self.left = self.chance.between(16, 48);
        self.now.0 += micros(self.chance.between(10, 72) * 3600);
        self.topics = (0..self.chance.between(1, 3)).map(|_| self.language.topic(&mut self.chance)).collect();
    }

    /// One to four sentences, some 25 words together.
    fn words(&mut self) -> String {
        let mut text = String::with_capacity(192);
        let mut left = self.chance.between(12, 38);
        while left > 0 {
            let count = self.chance.between(6, 14).min(left);
            left = if left - count < 4 { 0 } else { left - count };
            self.sentence(count, &mut text);
        }
        text
    }

    fn sentence(&mut self, count: u64, text: &mut String) {
        let start = if text.is_empty() { 0 } else { text.len() + 1 };
        for _ in 0..count {
            match self.chance.between(0, 99) {
                0..46 => push(text, self.language.glue.pick(&mut self.chance)),
                46..72 => {
                    let at = usize::try_from(self.chance.next() % 8).unwrap_or_default() % self.topics.len().max(1);
                    push(text, self.topics.get(at).unwrap_or(&&self.language.general).pick(&mut self.chance));
                }
                72..96 => push(text, self.language.general.pick(&mut self.chance)),
                96..98 => push(text, self.chance.pick(&NAMES).unwrap_or("Ann")),
                98 => push(text, &self.chance.between(2, 400).to_string()),
                _ => {
                    let day = self.chance.between(1, 28);
                    push(text, &format!("{day} {}", self.chance.pick(&MONTHS).unwrap_or("May")));
                }
            }
        }
        if let Some(first) = text.get_mut(start..start + 1) {
            first.make_ascii_uppercase();
        }
        text.push(if self.chance.percent(18) { '?' } else { '.' });
    }
}

fn push(text: &mut String, word: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(word);
}

/// Seconds in microseconds.
fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
}

/// Each word with the endings that English gives it.
fn forms(words: &[String]) -> Vec<String> {
    let forms = |word: &String| {
        let stem = word.strip_suffix('e').unwrap_or(word);
        [word.clone(), format!("{word}s"), format!("{stem}ed"), format!("{stem}ing"), format!("{stem}er")]
    };
    words.iter().flat_map(forms).collect()
}

/// The words with the forms of one no longer side by side, so that their ranks, and frequencies, differ.
fn spread(words: Vec<String>) -> Vec<String> {
    let mut keyed: Vec<(usize, String)> =
        words.into_iter().enumerate().map(|(at, word)| (at / 5 + at % 5 * 7, word)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, word)| word).collect()
}

const NAMES: [&str; 16] = [
    "Ada", "Boris", "Chiara", "David", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Keiko", "Liam", "Maya",
    "Nadia", "Oscar", "Priya",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const OPENINGS: [&str; 8] = [
    "What was said about",
    "Why did we change",
    "Who asked for",
    "When did they first mention",
    "Find everything about",
    "Help with",
    "How far is",
    "What is still open on",
];

/// Words that hold sentences together, the most frequent first.
const GLUE: &str = "the to and a of in it is that for you was on with but they have this my so we be at not are as can her had \
    he just from or she about up what all if me your there out would get like been now when our some him one more its will \
    then into them really could how also too very over after who here only their back still well than these did by off even \
    again much because before where why through though maybe while yet since until quite perhaps both each such every most few \
    between during without against almost always never often sometimes usually together already soon later today yesterday";

/// Words of every day, the most frequent first.
const GENERAL: &str = "time work day think year want look new way thing week home need start talk feel try plan help good friend \
    keep call week month place show move side point play turn hold bring write sit stand meet pay hear learn change lead watch \
    follow stop create speak read spend grow open walk offer remember consider appear wait serve send expect build stay fall cut \
    reach remain suggest raise pass sell require report decide pull explain hope develop carry break receive agree support hit \
    produce eat cover catch draw choose cause listen wonder visit join finish share answer check order enjoy worry laugh cook \
    clean fix park drive train sleep dream smile dance sing paint travel rest shop order deliver collect count match measure \
    mention notice prefer promise protect push record reduce refer reflect refuse regret relax rely remind remove rent repair \
    repeat replace reply request rescue respond return review ride risk roll rush save search settle shake shape shout shut sign \
    smell sort sound spread step store strike study succeed suffer supply surprise surround survive suspect swim switch taste \
    teach tear thank touch trade trust twist warn wash waste welcome win wish wrap yell room house city street car train table \
    chair window door garden kitchen school office market river mountain beach forest island bridge corner light night morning \
    evening summer winter spring autumn weather rain snow wind storm sun moon star sky cloud water fire earth stone wood metal \
    glass paper cloth color sound music song story book page letter word line picture film game sport team ball goal race prize \
    money price cost bill bank job boss client partner leader member group club party event ticket trip hotel flight train bus \
    map guide ticket bag box bottle cup plate knife fork spoon bread cheese fruit apple lemon salad soup rice meat fish chicken \
    coffee tea juice wine sugar salt butter cake cookie candy dog cat bird horse rabbit doctor nurse teacher student child parent \
    brother sister uncle aunt cousin neighbor guest crowd village county country nation border language culture habit custom rule \
    reason result effect method system process project problem question answer idea detail example fact figure form kind level \
    limit list mark model number part pattern piece position power press pressure quality range rate record role scale scene \
    season section sense series service shade sign size skill space speed stage standard state style subject surface target task \
    term test theme theory title tone topic tool track trend type unit value version view voice volume wall weight zone";

/// What people talk about; within a topic the most frequent word first.
const TOPICS: [&str; 24] = [
    "pottery clay kiln glaze wheel bowl mug vase studio workshop ceramic sculpt fire carve shape handle pattern porcelain stoneware oven",
    "server deploy container cluster latency timeout gateway cache replica rollback release monitor alert incident pipeline proxy socket throughput backup outage",
    "login token session password cookie signature header secret permission scope account identity audit certificate encrypt hash expire rotate revoke verify",
    "database index query schema migration table column transaction lock replica snapshot journal vacuum partition cursor constraint trigger backup restore shard",
    "marathon runner pace stretch sprint trail hill training knee ankle shoe sweat coach medal finish stamina heartbeat injury recover interval",
    "puppy shelter leash kennel bark fetch treat vet vaccine collar breed groom adopt rescue walk litter whisker hamster parrot aquarium",
    "recipe oven flour dough garlic onion basil pasta sauce simmer bake roast spice pepper dessert pastry blender skillet marinate leftover",
    "guitar concert melody rhythm chord drum rehearse album lyric stage violin piano orchestra choir tempo harmony record microphone tune encore",
    "mortgage rent landlord lease apartment tenant deposit renovate plumber ceiling balcony furniture carpet kitchen basement roof attic hallway drill tile",
    "pregnant baby stroller diaper crib nursery toddler bottle lullaby cradle daycare midwife sibling playground bedtime cartoon teething pacifier blanket nap",
    "camera lens tripod shutter exposure portrait landscape filter gallery frame negative darkroom print contrast sunset silhouette zoom flash album exhibit",
    "invoice budget revenue expense payroll tax audit forecast ledger discount margin profit vendor contract refund receipt balance quarter shipment credit",
    "hike summit tent campfire backpack ridge waterfall canyon compass glacier meadow wildlife ranger kayak paddle canoe boulder valley creek sunrise",
    "therapy anxiety counselor meditate breathe journal stress panic grief resilience boundary mindful burnout comfort confide sadness anger forgive healing calm",
    "novel author chapter plot character fantasy poem publisher editor library bookshelf draft narrator villain fiction manuscript sequel rhyme metaphor critic",
    "basketball dunk rebound referee tournament league score coach jersey stadium season injury defense playoff rookie dribble bench captain trophy contract",
    "wedding bride groom vow ring bouquet venue guest toast honeymoon veil anniversary invitation ceremony bridesmaid gown chapel photographer florist reception",
    "garden tomato seed compost soil weed prune harvest greenhouse orchid tulip mulch shovel sprout bloom herb fertilizer hedge pollen beetle",
    "startup investor pitch founder funding equity product launch customer market brand campaign logo mentor accelerator prototype competitor growth pivot valuation",
    "hospital surgery nurse prescription allergy fever clinic dentist symptom diagnosis dosage bandage ambulance cough rash tablet insulin asthma migraine checkup",
    "election council petition volunteer protest charity donate veteran community campaign senator ballot speech policy fundraiser homeless activist mayor debate reform",
    "airport passport luggage visa itinerary hostel museum souvenir ferry train cathedral castle beach snorkel tourist jetlag cruise currency embassy reservation",
    "compiler parser lint syntax function thread mutex pointer macro module crate generic closure iterator panic trait borrow overflow benchmark refactor",
    "astronomy telescope galaxy comet orbit nebula eclipse planet rocket satellite crater asteroid launch gravity probe meteor lunar cosmos spectrum observatory",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_says_the_same_and_another_one_something_else() {
        let language = Language::new();
        let turns = |seed, number| language.conversation(seed, number).next_turns(50);

        assert_eq!(turns(7, 0), turns(7, 0));
        assert_ne!(turns(7, 0), turns(8, 0));
        assert_ne!(turns(7, 0), turns(7, 1));
    }

    #[test]
    fn turns_are_as_long_as_people_talk_and_their_time_goes_forward() {
        let language = Language::new();
        let turns = language.conversation(1, 0).next_turns(2000);

        let words: usize = turns.iter().map(|turn| turn.content.split_whitespace().count()).sum();
        assert!((20..=30).contains(&(words / turns.len())), "{} words a turn", words / turns.len());
        assert!(turns.windows(2).all(|two| two[0].timestamp < two[1].timestamp && two[0].name != two[1].name));
        let days = (turns[1999].timestamp.0 - turns[0].timestamp.0) / 86_400_000_000;
        assert!((60..400).contains(&days), "{days} days");
        assert!(language.size() > 3000, "{} words", language.size());
    }

    #[test]
    fn words_follow_a_steep_law() {
        let language = Language::new();
        let turns = language.conversation(1, 0).next_turns(2000);
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for word in turns.iter().flat_map(|turn| turn.content.split(|char: char| !char.is_alphanumeric())) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }

        assert!(counts["the"] > 500, "common words are common");
        assert!(counts.values().filter(|count| **count <= 5).count() > 500, "and many words are rare");
    }

    #[test]
    fn a_purpose_has_at_least_five_words_and_is_hardly_ever_the_same() {
        let (language, mut chance) = (Language::new(), Chance::new(3, 9));
        let purposes: Vec<_> = (0..10_000).map(|_| language.purpose(&mut chance)).collect();

        assert!(purposes.iter().all(|purpose| purpose.split_whitespace().count() >= 6));
        assert!(purposes.iter().collect::<std::collections::BTreeSet<_>>().len() > 9_990);
    }
}
