//! The rules by kind, and the cues that decide which of them are tried on a sentence.
//!
//! A rule is a pattern over the sentence in lower case and a small function that makes the item.
//! Patterns are anchored to people and verbs that carry the meaning, so that small talk with the
//! same words ("let's go hiking", "you must be tired") passes by.

use super::super::draft::Found;
use super::super::pattern;
use super::clause;
use super::sentence::Sentence;
use crate::kind::{Kind, Role, Status};
use crate::lang;
use aho_corasick::AhoCorasick;
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// Which groups of rules a sentence calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cues(u32);

impl Cues {
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn holds(self, group: u32) -> bool {
        self.0 & group != 0
    }
}

const LABEL: u32 = 1;
const QUESTION: u32 = 1 << 1;
const DECISION: u32 = 1 << 2;
const OBLIGATION: u32 = 1 << 3;
const INSTRUCTION: u32 = 1 << 4;
const TASK: u32 = 1 << 5;
const PREFERENCE: u32 = 1 << 6;
const FACT: u32 = 1 << 7;
const SETTINGS: u32 = 1 << 9;
/// The sentence may report something as finished.
pub(super) const DONE: u32 = 1 << 8;

/// Fragments that must be there for a rule of the group to have a chance.
const CUES: &[(&str, u32)] = &[
    (":", LABEL),
    ("todo", LABEL | TASK),
    ("?", QUESTION),
    ("decid", DECISION),
    ("decision", DECISION),
    ("agreed", DECISION),
    ("chose", DECISION),
    ("opted", DECISION),
    ("settled", DECISION),
    ("let's", DECISION),
    ("lets ", DECISION),
    ("we'll", DECISION),
    ("we will", DECISION),
    ("we're", DECISION),
    ("we are", DECISION),
    ("instead of", DECISION),
    ("rather than", DECISION),
    ("now use", DECISION),
    ("now using", DECISION),
    (" from ", DECISION),
    ("replac", DECISION),
    ("switch", DECISION),
    ("going with", DECISION),
    ("must", OBLIGATION),
    ("should", OBLIGATION),
    ("can't", OBLIGATION),
    ("cannot", OBLIGATION),
    ("may not", OBLIGATION),
    ("allowed to", OBLIGATION),
    ("we won't", DECISION),
    ("picked", DECISION),
    ("selected", DECISION),
    ("based in", FACT),
    ("shall", OBLIGATION),
    ("required", OBLIGATION),
    ("not allowed", OBLIGATION),
    ("forbidden", OBLIGATION),
    ("permitted", OBLIGATION),
    ("do not", OBLIGATION),
    ("don't", OBLIGATION | PREFERENCE),
    ("may only", OBLIGATION),
    ("may not", OBLIGATION),
    ("cannot exceed", OBLIGATION),
    ("always", INSTRUCTION),
    ("never", INSTRUCTION),
    ("from now on", INSTRUCTION),
    ("going forward", INSTRUCTION),
    ("remember", INSTRUCTION),
    ("goal", INSTRUCTION),
    ("mission", INSTRUCTION),
    ("objective", INSTRUCTION),
    ("answer", INSTRUCTION),
    ("reply", INSTRUCTION),
    ("respond", INSTRUCTION),
    ("need to", TASK),
    ("needs to", TASK),
    ("have to", TASK),
    ("please", TASK | INSTRUCTION),
    ("can you", TASK),
    ("could you", TASK),
    ("prefer", PREFERENCE),
    ("favorite", PREFERENCE),
    ("favourite", PREFERENCE),
    ("like", PREFERENCE),
    ("love", PREFERENCE),
    ("hate", PREFERENCE),
    ("enjoy", PREFERENCE),
    ("fan of", PREFERENCE),
    ("can't stand", PREFERENCE),
    ("my ", FACT),
    ("i live", FACT),
    ("i work", FACT),
    ("i'm", FACT),
    ("i am", FACT),
    ("call me", FACT),
    ("i have", FACT),
    ("i've", FACT),
    ("we use", FACT),
    ("is now", FACT),
    ("are now", FACT),
    ("our ", FACT),
    ("moved to", FACT),
    ("done", DONE),
    ("fix", DONE),
    ("finish", DONE),
    ("complete", DONE),
    ("implemented", DONE),
    ("added", DONE),
    ("deployed", DONE),
    ("merged", DONE),
    ("resolve", DONE),
    ("shipped", DONE),
    ("close", DONE),
    ("removed", DONE),
    ("updated", DONE),
    ("refactored", DONE),
    ("migrated", DONE),
    ("rotated", DONE),
    ("documented", DONE),
    ("tested", DONE),
    ("wrote", DONE),
    ("written", DONE),
    ("released", DONE),
    ("upgraded", DONE),
    ("configured", DONE),
    ("renamed", DONE),
    ("reviewed", DONE),
    ("set up", DONE),
    ("cleaned up", DONE),
];

static CUE_FINDER: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(CUES.iter().map(|(cue, _)| *cue)).ok());

/// The groups that this sentence calls for.
pub(super) fn cues(sentence: &Sentence<'_>) -> Cues {
    let boxed = match sentence.checkbox {
        Some(true) => TASK | DONE,
        Some(false) => TASK,
        None => 0,
    };
    let boxed = boxed | opening_cue(&sentence.lower);
    let Some(finder) = CUE_FINDER.as_ref() else { return Cues(boxed) };
    let groups = finder
        .find_overlapping_iter(&sentence.lower)
        .filter_map(|found| CUES.get(found.pattern().as_usize()).map(|(_, group)| *group))
        .fold(boxed, |all, group| all | group);
    Cues(groups)
}

/// Cues that are too common to mean anything but at the start of a sentence.
fn opening_cue(lower: &str) -> u32 {
    match lower.split(' ').next() {
        Some("use" | "keep" | "make" | "prefer") => INSTRUCTION,
        Some("the") => SETTINGS,
        _ => 0,
    }
}

macro_rules! patterns {
    ($($(#[$doc:meta])* $name:ident = $source:expr;)+) => {
        $($(#[$doc])* static $name: LazyLock<Option<Regex>> = LazyLock::new(|| pattern($source));)+

        /// Every pattern here, for the test that they compile.
        #[cfg(test)]
        pub(super) fn all_patterns() -> Vec<&'static LazyLock<Option<Regex>>> {
            vec![$(&$name),+]
        }
    };
}

patterns! {
    /// `Decision: use JWT`, `TODO(ann) - rotate keys`
    LABELLED = r"^(?:final |key |new |open |hard |team |our |main )?(decision|decided|agreed|resolution|requirement|acceptance criterion|constraint|limitation|restriction|todo|to-do|fixme|task|action item|next step|follow-up|fact|preference|instruction|rule|guideline|mission|goal|objective|note to self|question)s?(?: ?#?\d{1,3})?(?: ?\([^)]{1,30}\))? ?(?:: | - | – | — )(.+)$";
    /// "we decided to …"
    DECIDED = r"\b(?:(?P<we>we|the team|everyone|everybody|it was|it's been|(?:the )?(?:group|board|team))|(?P<i>i))(?:'ve| have|'d| had| has)?(?: (?:all|finally|already|just|both|then|also|now|ultimately|jointly))? (?:decided|agreed|chose|chosen|picked|selected|opted|settled|resolved) (?:to |on |that |for |against |upon )?(?P<what>.+)$";
    /// "the decision is to …"
    DECISION_IS = r"^(?:so,? )?(?:the|our) (?:final )?decision (?:is|was) (?:to |that )?(?P<what>.+)$";
    /// "let's go with …"
    LETS = r"^(?:(?:ok|okay|so|then|alright|great|yes|sure|fine|agreed|good|actually|well|no|hmm|in the end|for now)[,.! ]+)*(?:let's|lets|let us) (?:just |then |now )?(?:go with|use|stick with|stick to|switch to|adopt|settle on|move to|migrate to|standardi[sz]e on|pick|choose|go for) (?P<what>.+)$";
    /// "we'll use …", "we're going with …"
    WE_WILL = r"\b(?:we'll|we will|we're going to|we are going to|we're|we are) (?:just |now |then |instead )?(?:use|using|go with|going with|adopt|adopting|switch to|switching to|stick with|sticking with|stick to|standardi[sz]e on|standardi[sz]ing on|migrate to|migrating to|move to) (?P<what>.+)$";
    /// "we now use X"
    NOW_USE = r"\b(?:we|the team|the (?:[\w-]+ ){0,3}[\w-]+|it) (?:now uses?|(?:is|are) now using|uses? now) (?P<what>.+)$";
    /// "changed the algorithm from Y to X"
    FROM_TO = r"^(?:(?:ok|okay|so|update|fyi|note)[,:]? )?(?:(?P<who>we|i|the team|they)(?:'ve| have|'re| are)?(?: just| now| also)? )?(?:(?P<noun>(?:the|our) [\w ./-]{2,50}?)(?: has| was| is| have| were)?(?: been)?(?: just| now)? )?(?:changed|switched|migrated|moved|upgraded|downgraded|changing|switching|migrating|moving)(?: over)? (?:(?P<object>(?:the |our )?[\w ./-]{2,50}?) )?from (?P<old>.+?) to (?P<new>.+)$";
    /// "we replaced Y with X", "let's replace Y with X"
    REPLACED = r"\b(?:(?:we|i|the team)(?:'ve| have|'ll| will)?|let's)(?: just| now)? (?:replaced?|swap|swapped)(?: out)? (?P<old>.+?) (?:with|by|for) (?P<new>.+)$";
    /// "we won't use …", "we decided against …"
    AGAINST = r"\b(?:we|i|the team)(?:(?: won't| will not|'re not going to| are not going to| aren't going to|'ll not)(?: be)? (?:use|using|go with|going with|adopt|adopting|support|supporting)|(?:'ve| have)? decided against(?: using)?) (?P<what>.+)$";
    /// "instead of Y we use X"
    INSTEAD = r"^instead of (?P<old>.+?),? we(?:'ll| will| now)*(?: be)? (?:use|using|go with|going with) (?P<new>.+)$";
    /// Doubt and conditions: no decision, no task.
    HEDGE = r"\b(?:if|maybe|perhaps|might|could|would|wouldn't|whether|what if|suppose|imagine|let's say|not sure|thinking (?:about|of)|considering|haven't|hasn't|not decided|didn't|don't know|unless|should we|i wonder|probably)\b";
    /// Stories about life rather than about work.
    STORY = r"\b(?:yesterday|last (?:week|weekend|month|year|night|summer|winter|spring|fall|friday|saturday|sunday)|ago|this weekend|tonight|vacation|hiking|camping|dinner|lunch|movie|beach|trip|family|kids|party|wedding|dog|cat)\b";
    /// "The server must …"
    MUST = r"^(?P<who>.{2,80}?) (?:must|shall)(?: (?:also|always|only|at least|still))? (?P<what>(?:be|have|[a-z-]+) .+|[a-z-]{3,}[.!]?)$";
    /// "The server must not …", "… may only …"
    MUST_NOT = r"\b(?:must not|mustn't|must never|shall not|shall never|may only|may not exceed|cannot exceed|can't exceed|(?:is|are) (?:strictly )?(?:not allowed|forbidden|not permitted|prohibited)|must (?:be|stay|remain|run|take|finish|respond|fit|complete)(?: \w+){0,3} (?:at most|under|below|within|less than|no more than|no longer than) .*\d)\b";
    /// "… is required", "requires"
    REQUIRED = r"^(?P<who>(?:the|all|every|each|our|any) .{2,80}?) (?:is|are) required(?: to (?P<what>.+)|[.!]?$)";
    /// "The API should return …"
    SHOULD = r"^(?:the|all|every|each|our|any|requests?|responses?|errors?|users?) .{2,60}?\bshould (?:also |always |only )?(?:return|support|accept|respond|handle|expose|validate|retry|fail|reject|persist|log|be (?:under|below|at most|at least|within|less than|no more|configurable|optional|idempotent|encrypted|logged|cached|able to|available|backward|sorted|signed)) ?.*$|^responses? should .+$";
    /// "We can't use …"
    CANNOT = r"^(?:but |and |also,? |note that )?we (?:can't|cannot|can not|may not|are not allowed to|aren't allowed to) (?:use|add|rely on|depend on|store|log|break|change|exceed|deploy|share|send|run|ship|expose|introduce|modify) .+$";
    /// Subjects of guesses: "you must be tired".
    GUESS = r"^(?:(?:wow|oh|yeah|well|aww|haha|damn|gosh|man|hey|so|and|but|that|it|this|he|she|you|i|they|there|those)\b.*)$";
    /// "Do not use …"
    DO_NOT = r"^(?:please,? |also,? |and )*(?:do not|don't|do NOT) (?:ever |just )?(?P<verb>use|commit|push|log|add|change|modify|delete|remove|include|call|write|create|touch|edit|store|expose|hard-?code|merge|deploy|install|import|introduce|rely on|assume|break|rename|refactor|output|mention) (?P<what>.+)$";
    /// "always …", "never …", "from now on …"
    STANDING = r"^(?:please,? |also,? |and |you (?:should|must) )*(?:always|never) (?P<what>[a-z-]+\b.*)$";
    PLEASE_ALWAYS = r"\bplease (?:always|never|make sure (?:to always|you always|that you always)) .+$";
    FROM_NOW_ON = r"^(?:please,? |so,? |ok(?:ay)?,? |and,? )*(?:from now on|going forward),? (?P<what>.+)$";
    /// "… from now on", at the end of an order
    TO_NOW_ON = r"^(?:please,? )?(?:use|write|call|answer|reply|respond|prefer|keep|put|do not|don't|avoid|treat|start|end|format|name|include|skip) .+ (?:from now on|going forward)[.!]?$";
    /// No orders, though they begin like some.
    IDIOM = r"^(?:please,? |also,? |and )*(?:never (?:mind|saw|got|did|was|were|went|came|made|said|took|found|had|give up|too late|been|had|thought|seen|knew|heard|tried|met|felt|know|expected|forget|stop|lose|say never|really|gonna|a )|always (?:been|wanted|thought|knew|loved|liked|had|a |nice|good|great|happy|fun|remember|here|there|been|makes?|feels?|gets?|something|so|worth|love|try to|believe|up for))\b";
    /// "use X rather than Y", an order
    USE_NOT = r"^(?:please,? )?(?:use|prefer|write|call|say) (?P<what>.+ (?:instead of|rather than|and not|over) .+)$";
    /// "keep answers short"
    KEEP = r"^(?:please,? )?(?:keep|make) (?:your |the |all |all the )?(?:answers?|replies|responses?|explanations?|code|comments?|commits?|commit messages|prs?|pull requests|messages?|functions?|summaries) .{3,60}$";
    /// "answer in French"
    REPLY_IN = r"^(?:please,? )?(?:always )?(?:answer|reply|respond)(?: to me)?(?: only| always)? in (?P<what>[a-z]+.*)$";
    /// "remember that …", "remember to …"
    REMEMBER = r"^(?:please,? |also,? |and )*remember:? (?P<how>that|to|:)? ?(?P<what>.+)$";
    /// "our goal is to …"
    MISSION = r"^(?:so,? |and |ultimately,? )*(?:our(?: (?:overall|main|primary|current|project|team|company|ultimate|central|core|whole|product))*|(?:this|the) (?:project|team|product|company)(?:'s)?(?: (?:overall|main|primary|current|ultimate))?|the (?:overall |main |primary |ultimate )?(?:goal|mission|objective) (?:of|for|behind) (?:the|this|our) [\w -]{2,40}?)(?: (?:goal|mission|objective))?(?: here)? (?:is|remains) (?:to )?(?P<what>.+)$";
    /// "we need to fix …"
    NEED_TO = r"\b(?:we|you|i|someone|somebody) (?:still |also |really |will )?(?:need to|have to|needs to|has to) (?P<what>(?:fix|implement|refactor|deploy|migrate|upgrade|document|investigate|configure|rename|merge|rotate|debug|benchmark|validate|backport|parse|cache|patch|profile|port|(?:add|write|update|remove|create|review|release|test|set up|clean up|check|handle|support|finish) (?:\S+ ){0,5}?(?:tests?|docs?|documentation|migrations?|scripts?|code|api|apis|endpoints?|readme|changelog|config|configuration|schema|index|indexes|logging|metrics|retry|retries|cache|handler|validation|rate limit\w*|build|pipeline|ci|server|service|module|function|class|database|table|branch|pr|feature flag|dashboard|alerts?|auth\w*|login|tokens?|keys?|versions?|dependenc\w+|errors?|bugs?|client|backend|frontend|queue|worker|job|backups?|release|deployment|timeouts?))\b.*)$";
    /// "please add …", "can you fix …"
    REQUEST = r"^(?:hey,? |hi,? |ok(?:ay)?,? |now,? |also,? |and |then )*(?:(?:can|could|would|will) you (?:please )?|please,? )(?P<what>(?:add|fix|implement|refactor|deploy|migrate|upgrade|document|investigate|configure|rename|rotate|debug|benchmark|update|remove|create|write|review|test|optimi[sz]e|convert|generate|build|delete|move|set up|clean up)\b .+)$";
    /// "I prefer …"
    PREFER = r"\bi(?:'d| would)?(?: really| always| usually| much| strongly| generally| personally| also| still)? (?:prefer|rather have) (?P<what>.+)$";
    /// "I love …"
    LIKE = r"\bi(?: really| absolutely| also| just| still| totally| do| always| especially| personally)? (?:like|love|enjoy|adore|hate|dislike|don't like|do not like|can't stand|don't enjoy) (?P<what>[a-z].+)$";
    /// "I'm a big fan of …"
    FAN = r"\bi(?:'m| am) (?:a |such a )?(?:big |huge |real )?(?:fan of|into) (?P<what>.+)$";
    /// "my favourite colour is …"
    FAVOURITE = r"\bmy(?: all-time| absolute| personal)? favou?rite (?P<key>[a-z][\w '-]{1,40}?) (?:is|are|was|has to be|would be) (?P<what>.+)$";
    /// Objects that only react: "I love that!"
    REACTION = r"^(?:it|that|this|these|those|you|your|how|to hear|to see|the way|them|hearing|seeing|when|what|him|her|his|their|to\b|the (?:idea|thought|sound|look|vibe|feeling|energy|design|color|colour)|a good|being able|i |where|my )";
    /// "my name is …"
    NAME = r"\b(?:my name is|my name's|i(?:'m| am) called|call me) (?P<what>[\w' -]{2,40}?)(?:[.,!;]|$| and | but )";
    /// "I live in …"
    LIVE = r"\bi(?:(?: now| currently| actually)? (?:live in|moved to|just moved to|recently moved to)|(?:'m| am)(?: now| currently)? based in) (?P<what>.+)$";
    /// "I'm from …"
    ORIGIN = r"^(?:and |well,? |hi,? )*i(?:'m| am)(?: originally)? from (?P<what>.+)$";
    /// "I'm 34 years old"
    AGE = r"\bi(?:'m| am) (?P<what>\d{1,3}) years old\b";
    /// "I work at …"
    WORK = r"\bi(?: now| currently| actually)? work (?P<how>at|for|as) (?P<what>.+)$";
    /// "I'm a nurse"
    JOB = r"\bi(?:'m| am) (?:a|an) (?P<what>(?:[\w-]+ ){0,3}(?:engineer|developer|programmer|teacher|nurse|doctor|designer|student|manager|lawyer|writer|artist|scientist|researcher|accountant|architect|analyst|consultant|chef|mechanic|electrician|therapist|counselor|counsellor|professor|photographer|musician|journalist|pilot|founder|freelancer|vegetarian|vegan))\b";
    /// "I'm allergic to …", "I'm vegan"
    BODY = r"\bi(?:'m| am) (?:(?P<diet>vegan|vegetarian|pescatarian|lactose intolerant|diabetic|colou?r ?blind|left-handed|gluten[ -]free)|allergic to (?P<what>.+))";
    /// "my birthday is …"
    MINE = r"\bmy (?P<key>birthday|email|e-mail|phone|address|time ?zone|job|hometown|wife|husband|partner|girlfriend|boyfriend|fianc[eé]e?|son|daughter|brother|sister|mother|father|mom|dad|dog|cat|boss|manager|team|company|employer|major|age|username|github|handle|editor|laptop|operating system|os|shell|stack|budget|deadline|salary|car|school|college|university|(?:[a-z]+ )?name)(?P<of>'s name)? (?:is|are) (?:called |named )?(?P<what>.+)$";
    /// "I have two dogs"
    HAVE = r"\bi(?: have|'ve got| have got) (?P<what>(?:a|an|one|two|three|four|five|six|\d{1,2}) (?:[\w-]+ ){0,2}(?:dogs?|cats?|kids?|children|sons?|daughters?|brothers?|sisters?|siblings?|pets?|cars?|turtles?|rabbits?|horses?|degrees?)\b.*)$";
    /// "we use X for Y"
    WE_USE = r"^(?:(?:currently|at the moment|today|right now|so),? )?we(?: currently| mostly| mainly)? use (?P<what>.+)$";
    /// "the staging host is now …"
    IS_NOW = r"^(?:the|our) (?P<key>[\w ./-]{2,50}?) (?:is|are) now (?P<what>.+)$";
    /// "the default port is 8080"
    SETTING = r"^the (?P<key>[\w-]+(?: [\w-]+){0,2}) is `?(?P<what>[\w.:/@-]*[\d/][\w.:/@?=&%-]*)`?[.!]?$";
    /// "our database is Postgres"
    OURS = r"^our (?P<key>[\w-]+(?: [\w-]+){0,2}) (?:is|are) (?P<what>[\w./:@-]+(?: [\w./:@-]+){0,4})[.!]?$";
    /// `Database: Postgres`
    PAIR = r"^(?P<key>[a-z][\w./-]*(?: [\w./-]+){0,3}) ?(?::|=) (?P<what>\S.{0,120})$";
    /// What a choice is for: "JWT for authentication"
    CHOICE = r"^(?P<new>.+?)(?: (?:instead of|rather than|in place of|and not|not|over) (?P<old>.+?))?(?: (?:for|as) (?P<for>.+?))?(?: (?:instead of|rather than|in place of) (?P<late>.+?))?$";
    /// The verb before a choice.
    CHOOSES = r"^(?:to )?(?:use|using|go with|going with|adopt|adopting|switch to|stick with|stick to|settle on|move to|migrate to|standardi[sz]e on|pick|choose|keep|keep using)\s+(.+)$";
    /// Verbs that make "I decided to" a decision about the work.
    WORK_VERB = r"^(?:to )?(?:use|go with|adopt|switch to|stick with|migrate|move to|standardi[sz]e|drop|replace|deprecate|rewrite|ship|deploy|store|keep using)\b";
}

/// What one sentence says, if anything.
pub(super) fn find(sentence: &Sentence<'_>, cues: Cues, role: Option<Role>) -> Option<Found> {
    let reader = Reader { sentence, person: !matches!(role, Some(Role::Assistant | Role::System)), role };
    if sentence.checkbox.is_some() && cues.holds(TASK) {
        return Some(reader.checkbox());
    }
    let labelled = if cues.holds(LABEL) { reader.labelled() } else { None };
    if labelled.is_some() {
        return labelled;
    }
    if cues.holds(QUESTION) && sentence.is_question() {
        return reader.request(cues).or_else(|| reader.question());
    }
    first_rule(&reader, cues)
}

/// The rules of statements, in their order.
fn first_rule<'s, 't>(reader: &Reader<'s, 't>, cues: Cues) -> Option<Found> {
    type Rule<'s, 't> = fn(&Reader<'s, 't>) -> Option<Found>;
    let rules: [(u32, Rule<'s, 't>); 8] = [
        (DECISION, Reader::decision),
        (OBLIGATION, Reader::obligation),
        (INSTRUCTION, Reader::instruction),
        (TASK, Reader::task),
        (PREFERENCE, Reader::preference),
        (FACT, Reader::fact),
        (SETTINGS, Reader::setting),
        (LABEL, Reader::pair),
    ];
    rules.iter().filter(|(group, _)| cues.holds(*group)).find_map(|(_, rule)| rule(reader))
}

/// A sentence and who says it.
struct Reader<'s, 't> {
    sentence: &'s Sentence<'t>,
    /// A person speaks, not the model or the one who set it up.
    person: bool,
    role: Option<Role>,
}

impl Reader<'_, '_> {
    fn lower(&self) -> &str {
        &self.sentence.lower
    }

    /// The captures of a pattern, unless they begin inside quotes.
    fn read(&self, pattern: &'static LazyLock<Option<Regex>>) -> Option<Captures<'_>> {
        let found = pattern.as_ref()?.captures(self.lower())?;
        let start = found.get(0).map_or(0, |whole| whole.start());
        (!self.sentence.is_quoted(start)).then_some(found)
    }

    fn is(&self, pattern: &'static LazyLock<Option<Regex>>) -> bool {
        pattern.as_ref().is_some_and(|pattern| pattern.is_match(self.lower()))
    }

    /// A group's text as written.
    fn written(&self, found: &Captures<'_>, group: &str) -> Option<&str> {
        let range = found.name(group)?.range();
        self.sentence.plain.get(range)
    }

    fn found(&self, kind: Kind, title: &str, status: Status) -> Found {
        let plain = self.sentence.plain.as_ref();
        Found {
            kind,
            text: self.sentence.raw.to_owned(),
            title: clause::title(title),
            status,
            subject: None,
            value: None,
            replaces: None,
            priority: if kind == Kind::Task { clause::priority(self.lower()) } else { None },
            rationale: clause::rationale(plain, self.lower()),
            span: self.sentence.span,
        }
    }

    fn whole(&self, kind: Kind, status: Status) -> Found {
        self.found(kind, &self.sentence.plain, status)
    }

    fn checkbox(&self) -> Found {
        let done = self.sentence.checkbox == Some(true);
        self.whole(Kind::Task, if done { Status::Done } else { Status::Accepted })
    }

    fn labelled(&self) -> Option<Found> {
        let found = LABELLED.as_ref()?.captures(self.lower())?;
        let range = found.get(2)?.range();
        let words = self.sentence.plain.get(range)?;
        let label = found.get(1)?.as_str();
        let kind = match label {
            "decision" | "decided" | "agreed" | "resolution" => Kind::Decision,
            "requirement" | "acceptance criterion" => Kind::Requirement,
            "constraint" | "limitation" | "restriction" => Kind::Constraint,
            "todo" | "to-do" | "fixme" | "task" | "action item" | "next step" | "follow-up" => Kind::Task,
            "fact" => Kind::Fact,
            "preference" => Kind::Preference,
            "instruction" | "rule" | "guideline" | "mission" | "goal" | "objective" => Kind::Instruction,
            "question" => Kind::Question,
            _ => Kind::Note,
        };
        // "Decision: none yet" and "Task: ?" are forms that nobody filled in.
        if words.trim().len() < 3
            || ["none", "tbd", "n/a", "none yet", "unknown"]
                .contains(&words.trim_end_matches('.').to_ascii_lowercase().as_str())
        {
            return None;
        }
        if self.sentence.is_question() && kind != Kind::Question {
            return None;
        }
        let open = matches!(kind, Kind::Question);
        let mut item = self.found(kind, words, if open { Status::Provisional } else { Status::Accepted });
        if kind == Kind::Decision {
            choice(&mut item, words);
        } else if matches!(label, "mission" | "goal" | "objective") {
            item.subject = Some("mission".to_owned());
            item.value = Some(item.title.clone());
        }
        Some(item)
    }

    fn question(&self) -> Option<Found> {
        if !self.asks() {
            return None;
        }
        Some(self.whole(Kind::Question, Status::Provisional))
    }

    /// True if the question wants to know something, rather than greet or offer.
    fn asks(&self) -> bool {
        const COURTESY: [&str; 24] = [
            "anything else",
            "can i help",
            "may i help",
            "how can i",
            "would you like",
            "do you want me",
            "shall i",
            "should i ",
            "want me to",
            "does that help",
            "does this help",
            "does that make sense",
            "make sense",
            "is there anything",
            "need help",
            "let me know",
            "sound good",
            "sounds good",
            "how are you",
            "how have you",
            "what's up",
            "how's it going",
            "how about you",
            "what about you",
        ];
        const FILLERS: [&str; 35] = [
            "remember", "hey", "hi", "hello", "wow", "oh", "yeah", "going", "doing", "new", "today", "lately", "thing",
            "things", "think", "know", "guys", "really", "right", "ok", "okay", "cool", "nice", "great", "like",
            "else", "feel", "feeling", "happened", "got", "kind", "sort", "get", "tell", "just",
        ];
        let lower = self.lower();
        if COURTESY.iter().any(|words| lower.contains(words)) {
            return false;
        }
        let telling = lower
            .split(|c: char| !(c.is_alphanumeric() || c == '\''))
            .filter(|word| word.len() > 1 && !lang::is_stop_word(word) && !FILLERS.contains(word))
            .count();
        let first = lower.split(' ').next().unwrap_or_default();
        let formed = lang::is_question_word(first) || lang::is_question_verb(first) || telling >= 3;
        let least = if self.role == Some(Role::Assistant) { 3 } else { 2 };
        formed && telling >= least
    }

    fn decision(&self) -> Option<Found> {
        if self.is(&HEDGE) || self.role == Some(Role::System) {
            return None;
        }
        self.against()
            .or_else(|| self.replacement())
            .or_else(|| self.decided())
            .or_else(|| self.chosen(&DECISION_IS, false))
            .or_else(|| self.chosen(&NOW_USE, true))
            .or_else(|| self.chosen(&WE_WILL, true).filter(|_| !self.is(&STORY)))
            .or_else(|| self.chosen(&LETS, true).filter(|_| !self.is(&STORY)))
    }

    /// What was turned down. The decision holds; what it names is what it replaces.
    fn against(&self) -> Option<Found> {
        let found = self.read(&AGAINST).filter(|_| !self.is(&STORY))?;
        let mut item = self.whole(Kind::Decision, Status::Accepted);
        let (what, purpose) = split_purpose(self.written(&found, "what")?);
        item.replaces = clause::value(what);
        item.subject = purpose.and_then(clause::subject);
        Some(item)
    }

    fn decided(&self) -> Option<Found> {
        let found = self.read(&DECIDED)?;
        let what = self.written(&found, "what")?;
        let about_work = WORK_VERB.as_ref().is_some_and(|verb| verb.is_match(&what.to_ascii_lowercase()));
        if !about_work && (found.name("i").is_some() || self.is(&STORY)) {
            return None;
        }
        let mut item = self.found(Kind::Decision, what, Status::Accepted);
        choice(&mut item, what);
        Some(item)
    }

    /// A choice. Where the pattern took the verb, what is left only names the thing.
    fn chosen(&self, pattern: &'static LazyLock<Option<Regex>>, names_thing: bool) -> Option<Found> {
        let found = self.read(pattern)?;
        let what = self.written(&found, "what")?;
        // "let's use this time to …" chooses nothing.
        let pointed = ["it", "this", "that", "our", "the time", "the chance", "the opportunity"];
        let lower = what.to_ascii_lowercase();
        let points =
            |word: &&str| lower.strip_prefix(*word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        if pointed.iter().any(points) && !what.contains("instead") {
            return None;
        }
        let mut item = self.found(Kind::Decision, what, Status::Accepted);
        choice(&mut item, what);
        let verb_is_there = CHOOSES.as_ref().is_some_and(|verb| verb.is_match(&what.to_ascii_lowercase()));
        if names_thing && !verb_is_there {
            item.title = clause::title(&format!("use {}", clause::without_tail(what)));
        }
        Some(item)
    }

    /// "changed … from Y to X", "replaced Y with X".
    fn replacement(&self) -> Option<Found> {
        let (found, about) = match self.read(&FROM_TO) {
            Some(found) => {
                let about = self.written(&found, "object").or_else(|| self.written(&found, "noun")).map(str::to_owned);
                let anybody = found.name("who").map(|who| who.as_str());
                // "I moved from Berlin to Rome" is life, "I changed the port from …" is work.
                if (anybody == Some("i") || anybody.is_none()) && about.is_none() {
                    return None;
                }
                (found, about)
            }
            None => (self.read(&REPLACED).or_else(|| self.read(&INSTEAD))?, None),
        };
        let (old, new) = (self.written(&found, "old")?, self.written(&found, "new")?);
        let mut item = self.whole(Kind::Decision, Status::Accepted);
        let (new, purpose) = split_purpose(new);
        item.value = clause::value(new);
        item.replaces = clause::value(old);
        item.subject = about.as_deref().or(purpose).and_then(clause::subject);
        item.value.is_some().then_some(item)
    }

    fn obligation(&self) -> Option<Found> {
        let lower = self.lower();
        if self.read(&DO_NOT).is_some() {
            return (self.role != Some(Role::Assistant)).then(|| self.whole(Kind::Constraint, Status::Accepted));
        }
        if lower.starts_with("if ") || self.role == Some(Role::Assistant) && self.is(&HEDGE) {
            return None;
        }
        if self.read(&CANNOT).is_some() && !self.is(&STORY) && self.person {
            return Some(self.whole(Kind::Constraint, Status::Accepted));
        }
        if self.read(&SHOULD).is_some() && !self.is_guess() && !self.is(&STORY) && self.role != Some(Role::Assistant) {
            return Some(self.whole(Kind::Requirement, Status::Provisional));
        }
        if self.read(&MUST_NOT).is_some() && !self.is_guess() {
            return Some(self.whole(Kind::Constraint, Status::Accepted));
        }
        let required = self.read(&REQUIRED).is_some();
        let must = self.read(&MUST).is_some_and(|found| !is_guessed(&found));
        (required || (must && !self.is_guess())).then(|| self.whole(Kind::Requirement, Status::Accepted))
    }

    /// True if the sentence is about people or moods, of which "must" only guesses.
    fn is_guess(&self) -> bool {
        const OPENINGS: [&str; 4] = ["your ", "having ", "being ", "it must "];
        let lower = self.lower();
        let gerund = lower.split(' ').next().is_some_and(|word| word.ends_with("ing") && word.len() > 5);
        // "We must …" and "it must support …" are about the work.
        let ours = lower.starts_with("we must ") || lower.starts_with("we shall ");
        lower.ends_with('!')
            || gerund
            || OPENINGS.iter().any(|word| lower.starts_with(word))
            || (self.is(&GUESS) && !ours)
    }

    fn instruction(&self) -> Option<Found> {
        if let Some(found) = self.read(&MISSION) {
            let what = self.written(&found, "what")?.to_owned();
            // "the goal is to have fun" is said of games; a mission is ours or long enough to mean something.
            let telling = clause::significant_words(&what).len() >= 2 && !self.is(&STORY);
            if !telling {
                return None;
            }
            let mut item = self.found(Kind::Instruction, &what, Status::Accepted);
            item.subject = Some("mission".to_owned());
            item.value = Some(clause::title(&what));
            return Some(item);
        }
        if self.role == Some(Role::Assistant) || self.is(&IDIOM) {
            return None;
        }
        if let Some(found) = self.read(&REMEMBER) {
            return self.remembered(&found);
        }
        let told = self.read(&PLEASE_ALWAYS).is_some()
            || self.read(&REPLY_IN).is_some()
            || self.read(&KEEP).is_some()
            || self.read(&USE_NOT).is_some()
            || self.read(&STANDING).is_some_and(|found| is_order(&found))
            || self.read(&TO_NOW_ON).is_some()
            || self.read(&FROM_NOW_ON).is_some_and(|found| self.orders(&found));
        if !told {
            return None;
        }
        let mut item = self.whole(Kind::Instruction, Status::Accepted);
        if let Some(found) = self.read(&REPLY_IN) {
            item.subject = Some("language of answers".to_owned());
            item.value = self.written(&found, "what").and_then(clause::value);
        }
        Some(item)
    }

    /// "From now on I will swim" is a resolution, "from now on use tabs" an order.
    fn orders(&self, found: &Captures<'_>) -> bool {
        let what = found.name("what").map_or("", |what| what.as_str());
        let first = what.split(' ').next().unwrap_or_default();
        !lang::is_first_person(first) && !["it", "it's", "there", "he", "she", "they", "this", "that"].contains(&first)
            || what.starts_with("i want you")
            || what.starts_with("we use")
            || what.starts_with("we must")
    }

    fn remembered(&self, found: &Captures<'_>) -> Option<Found> {
        const MEMORIES: [&str; 12] = [
            "that time",
            "that day",
            "that one",
            "that trip",
            "time ",
            "when ",
            "how ",
            "yourself",
            "the time",
            "day ",
            "one ",
            "you ",
        ];
        let what = self.written(found, "what")?.to_owned();
        let how = found.name("how").map_or("", |how| how.as_str());
        let lower = what.to_ascii_lowercase();
        if MEMORIES.iter().any(|word| lower.starts_with(word))
            || how.is_empty()
            || !self.person && self.role != Some(Role::System)
        {
            return None;
        }
        let comfort = [
            "yourself",
            "breathe",
            "have fun",
            "take care",
            "enjoy",
            "take it",
            "be kind",
            "smile",
            "take time",
            "take breaks",
        ];
        if how == "to" {
            let order = !comfort.iter().any(|word| lower.contains(word));
            return order.then(|| self.found(Kind::Instruction, &what, Status::Accepted));
        }
        Some(self.found(Kind::Fact, &what, Status::Accepted))
    }

    fn task(&self) -> Option<Found> {
        if self.lower().starts_with("todo ") && self.sentence.plain.starts_with("TODO") {
            return Some(self.found(Kind::Task, self.sentence.plain.get(5..)?, Status::Accepted));
        }
        if self.is(&HEDGE) && !self.lower().starts_with("can you") {
            return None;
        }
        let needed = || self.read(&NEED_TO).filter(|_| self.role != Some(Role::System));
        let found = needed()?;
        let what = self.written(&found, "what")?;
        let vague = what.to_ascii_lowercase().starts_with("fix things") || self.is(&STORY);
        (!vague).then(|| self.found(Kind::Task, what, Status::Provisional))
    }

    /// A request to do something about the work; also in the form of a question.
    fn request(&self, cues: Cues) -> Option<Found> {
        if !cues.holds(TASK) || self.role != Some(Role::User) {
            return None;
        }
        let found = self.read(&REQUEST)?;
        let what = self.written(&found, "what")?.trim_end_matches('?');
        Some(self.found(Kind::Task, what, Status::Provisional))
    }

    fn preference(&self) -> Option<Found> {
        if !self.person {
            return None;
        }
        if let Some(found) = self.read(&FAVOURITE) {
            let mut item = self.whole(Kind::Preference, Status::Accepted);
            item.subject = self.written(&found, "key").and_then(|key| clause::subject(&format!("favourite {key}")));
            item.value = self.written(&found, "what").and_then(clause::value);
            return Some(item);
        }
        if let Some(found) = self.read(&PREFER) {
            let what = self.written(&found, "what")?;
            if is_reaction(what) {
                return None;
            }
            let mut item = self.whole(Kind::Preference, Status::Accepted);
            choice(&mut item, what);
            item.replaces = None;
            return Some(item);
        }
        let found = self.read(&LIKE).or_else(|| self.read(&FAN))?;
        let what = self.written(&found, "what")?;
        let told =
            !is_reaction(what) && !self.lower().contains("would like") && clause::significant_words(what).len() <= 8;
        told.then(|| self.whole(Kind::Preference, Status::Accepted))
    }

    fn fact(&self) -> Option<Found> {
        if !self.person || (self.is(&HEDGE) && !self.lower().contains("my name")) {
            return None;
        }
        let keyed = |pattern, key: &str| {
            let found = self.read(pattern)?;
            let value = self.written(&found, "what").and_then(clause::value)?;
            Some((Some(key.to_owned()), value))
        };
        let named = |value: &str| value.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
        let (subject, value) = keyed(&NAME, "name")
            .filter(|(_, value)| named(value))
            .or_else(|| keyed(&LIVE, "home").filter(|(_, value)| named(value)))
            .or_else(|| keyed(&ORIGIN, "origin").filter(|(_, value)| named(value)))
            .or_else(|| keyed(&AGE, "age"))
            .or_else(|| self.work())
            .or_else(|| keyed(&JOB, "job"))
            .or_else(|| self.body())
            .or_else(|| self.mine())
            .or_else(|| keyed(&HAVE, "").map(|(_, value)| (None, value)))
            .or_else(|| self.used())
            .or_else(|| self.state())?;
        let mut item = self.whole(Kind::Fact, Status::Accepted);
        item.subject = subject;
        item.value = Some(value);
        Some(item)
    }

    fn work(&self) -> Option<(Option<String>, String)> {
        let found = self.read(&WORK)?;
        let key = if found.name("how")?.as_str() == "as" { "job" } else { "employer" };
        let value = self.written(&found, "what").and_then(clause::value)?;
        let named = key == "job" || value.starts_with(char::is_uppercase);
        named.then(|| (Some(key.to_owned()), value))
    }

    fn body(&self) -> Option<(Option<String>, String)> {
        let found = self.read(&BODY)?;
        if let Some(diet) = self.written(&found, "diet") {
            return Some((Some("diet".to_owned()), diet.to_owned()));
        }
        let value = self.written(&found, "what").and_then(clause::value)?;
        // Several allergies do not supersede each other, so each is a subject of its own.
        Some((clause::subject(&format!("allergy to {value}")), value))
    }

    fn mine(&self) -> Option<(Option<String>, String)> {
        let found = self.read(&MINE)?;
        let value = self.written(&found, "what").and_then(clause::value)?;
        let key = self.written(&found, "key")?.to_lowercase();
        let key = if found.name("of").is_some() { format!("{key} name") } else { key };
        let telling = value.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || c == '[')
            && value.split(' ').count() <= 8;
        telling.then_some((Some(key), value))
    }

    /// "We use X for Y".
    fn used(&self) -> Option<(Option<String>, String)> {
        let found = self.read(&WE_USE)?;
        let (value, purpose) = split_purpose(self.written(&found, "what")?);
        let value = clause::value(value)?;
        let subject = purpose.and_then(clause::subject)?;
        (!is_reaction(&value) && value.split(' ').count() <= 6 && !self.is(&STORY)).then_some((Some(subject), value))
    }

    /// "The staging host is now …", "our database is Postgres".
    fn state(&self) -> Option<(Option<String>, String)> {
        let found = self.read(&IS_NOW).or_else(|| {
            let found = self.read(&OURS)?;
            let named = self.written(&found, "what")?.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
            named.then_some(found)
        })?;
        let subject = self.written(&found, "key").and_then(clause::subject)?;
        let value = self.written(&found, "what").and_then(clause::value)?;
        (!self.is(&STORY) && value.split(' ').count() <= 8).then_some((Some(subject), value))
    }

    /// "The default port is 8080."
    fn setting(&self) -> Option<Found> {
        if !self.person || self.is(&HEDGE) || self.is(&STORY) {
            return None;
        }
        let found = self.read(&SETTING)?;
        let mut item = self.whole(Kind::Fact, Status::Accepted);
        item.subject = self.written(&found, "key").and_then(clause::subject);
        item.value = self.written(&found, "what").and_then(clause::value);
        item.subject.is_some().then_some(item)
    }

    /// `Database: Postgres` on a line of its own.
    fn pair(&self) -> Option<Found> {
        if !self.sentence.is_line || !self.person {
            return None;
        }
        let found = self.read(&PAIR)?;
        let key = self.written(&found, "key")?;
        let value = clause::value(self.written(&found, "what")?)?;
        let words: Vec<String> = key.split(' ').map(str::to_lowercase).collect();
        let plain_key = words.iter().all(|word| !lang::is_stop_word(word) && !lang::is_question_word(word));
        let short = value.split(' ').count() <= 8 && words.len() <= 3;
        if !plain_key || !short || super::super::chat::is_remark(key) || value.ends_with(['?', '{', '(', '[']) {
            return None;
        }
        let mut item = self.whole(Kind::Fact, Status::Accepted);
        item.subject = clause::subject(key);
        item.value = Some(value);
        item.subject.is_some().then_some(item)
    }
}

/// True if "must" only guesses: "must be tired", "must have been", "must feel great".
fn is_guessed(found: &Captures<'_>) -> bool {
    const GUESSES: [&str; 14] = [
        "feel", "mean", "seem", "look", "sound", "love", "miss", "taste", "smell", "think", "know", "like", "hate",
        "enjoy",
    ];
    const STATES: [&str; 24] = [
        "able",
        "valid",
        "unique",
        "idempotent",
        "lossless",
        "optional",
        "present",
        "at",
        "in",
        "on",
        "under",
        "below",
        "within",
        "less",
        "no",
        "non-empty",
        "backward",
        "compatible",
        "sorted",
        "stable",
        "kept",
        "sent",
        "set",
        "written",
    ];
    let what = found.name("what").map_or("", |what| what.as_str());
    let who = found.name("who").map_or("", |who| who.as_str());
    let mut words = what.split([' ', '.', ',']);
    let (verb, next) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let guessed = match verb {
        "be" => {
            !(next.ends_with("ed") && next != "tired" && next != "excited"
                || STATES.contains(&next)
                || next.ends_with("able"))
        }
        "have" => {
            !["a", "an", "at", "no", "exactly", "one", "unique", "the", "its", "their"].contains(&next)
                || what.starts_with("have a lot")
        }
        "add" => next == "so",
        _ => GUESSES.contains(&verb),
    };
    guessed || who.ends_with(" a") || who.split(' ').count() > 12
}

/// True if "always" or "never" is followed by a verb in its plain form.
fn is_order(found: &Captures<'_>) -> bool {
    let what = found.name("what").map_or("", |what| what.as_str());
    let first = what.split([' ', ',', '.', '!']).next().unwrap_or_default();
    let formed = !first.ends_with("ed") && !first.ends_with("ing") && !first.is_empty();
    formed && !lang::is_stop_word(first) && what.split(' ').count() >= 2
}

fn is_reaction(what: &str) -> bool {
    REACTION.as_ref().is_none_or(|pattern| pattern.is_match(&what.to_ascii_lowercase()))
}

/// Reads "JWT for authentication instead of sessions" into value, subject and what it replaces.
fn choice(item: &mut Found, what: &str) {
    let lower = what.to_ascii_lowercase();
    let start = CHOOSES
        .as_ref()
        .and_then(|verb| verb.captures(&lower))
        .and_then(|found| found.get(1))
        .map_or(0, |rest| rest.start());
    // Without a verb of choosing ("to drop the table for now") there is no value.
    let chooses = start > 0 || !lower.starts_with("to ");
    let body = clause::without_tail(clause::until_break(what.get(start..).unwrap_or(what)));
    let Some(found) = CHOICE.as_ref().and_then(|pattern| pattern.captures(body)) else { return };
    let part = |name| found.name(name).map(|part: regex::Match<'_>| part.as_str());
    item.replaces = part("old").or_else(|| part("late")).and_then(clause::value);
    item.subject = part("for").and_then(clause::subject).filter(|subject| subject != "now");
    // "Bob owns the deployment" is a sentence, not a value; only a verb of choosing takes a long one.
    let most = if start > 0 { 8 } else { 3 };
    let is_value = |value: &String| {
        let first = value.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        value.split(' ').count() <= most && !lang::is_first_person(&first)
    };
    item.value = part("new").filter(|_| chooses).and_then(clause::value).filter(is_value);
}

/// Splits "Postgres for the ledger" at its purpose.
fn split_purpose(text: &str) -> (&str, Option<&str>) {
    let lower = text.to_ascii_lowercase();
    match [" for ", " as "].iter().filter_map(|word| lower.find(word).map(|at| (at, word.len()))).min() {
        Some((at, length)) => (text.get(..at).unwrap_or(text), text.get(at + length..)),
        None => (text, None),
    }
}

#[cfg(test)]
pub(super) fn finder_builds() -> bool {
    CUE_FINDER.is_some()
}
