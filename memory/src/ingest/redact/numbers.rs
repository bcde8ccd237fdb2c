//! Finds what is secret by being a number of a certain form: addresses of machines, cards, bank
//! accounts, national ids and phone numbers.
//!
//! Most numbers are none of these, so each rule asks for the whole form: check digits where there
//! are any, groups where people write them, and for phone numbers a `+`, a North American grouping
//! or a word like "phone" before it.
//!
//! Not here: anything with a key or a name in front (`context`).

use super::{Hit, Sensitive, at, before, run, run_back};
use memchr::memchr_iter;
use std::net::Ipv6Addr;

/// The longest form of all, an IBAN in groups.
const WINDOW: usize = 48;

/// Adds every number that must not be kept.
pub(super) fn find(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    find_ipv6(text, hits);
    let mut place = 0;
    while let Some(skip) = bytes.get(place..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        let start = place + skip;
        let digits = run(bytes, start, usize::MAX, |byte| byte.is_ascii_digit());
        let hit = number_at(text, start, digits);
        place = hit.map_or(start + digits, |hit| hit.end.max(start + digits));
        hits.extend(hit);
    }
}

/// The sensitive number whose first digits are `digits` bytes from `start` on.
fn number_at(text: &str, start: usize, digits: usize) -> Option<Hit> {
    let bytes = text.as_bytes();
    let hit = |from: usize, end: usize, what| Some(Hit { start: from, end, what });
    let ahead = before(bytes, start);
    if digits > 19 {
        return None;
    }
    if ahead.is_ascii_uppercase() || (ahead == b' ' && start >= 3 && digits == 2) {
        if let Some((from, end)) = iban(text, start) {
            return hit(from, end, Sensitive::Iban);
        }
        if let Some((from, end)) = nino(text, start) {
            return hit(from, end, Sensitive::NationalId);
        }
    }
    if ahead.is_ascii_alphanumeric() || matches!(ahead, b'_' | b'#' | b'.') || ahead >= 0x80 {
        return None;
    }
    if let Some(end) = ipv4(text, start) {
        return hit(start, end, Sensitive::Ip);
    }
    if ahead == b'-' && before(bytes, start - 1).is_ascii_alphanumeric() {
        return None;
    }
    if let Some(end) = social_security(bytes, start).or_else(|| cpf(bytes, start)) {
        return hit(start, end, Sensitive::NationalId);
    }
    if let Some(end) = card(bytes, start) {
        return hit(start, end, Sensitive::Card);
    }
    let (from, end) = phone(text, start)?;
    hit(from, end, Sensitive::Phone)
}

/// True if nothing that continues a number or a name follows.
fn ends_number(bytes: &[u8], end: usize) -> bool {
    let next = at(bytes, end);
    let continued = matches!(next, b'.' | b'-' | b',' | b':' | b'/') && at(bytes, end + 1).is_ascii_digit();
    !next.is_ascii_alphanumeric() && next != b'_' && !continued
}

fn ipv4(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut octets = [0_u8; 4];
    let mut end = start;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            if at(bytes, end) != b'.' {
                return None;
            }
            end += 1;
        }
        let length = run(bytes, end, 4, |byte| byte.is_ascii_digit());
        let digits = text.get(end..end + length).filter(|digits| digits.len() == 1 || !digits.starts_with('0'))?;
        *octet = digits.parse().ok()?;
        end += length;
    }
    let next = (at(bytes, end), at(bytes, end + 1));
    let goes_on = next.0.is_ascii_alphanumeric()
        || next.0 == b'_'
        || (matches!(next.0, b'.' | b'+') && next.1.is_ascii_alphanumeric())
        || (next.0 == b'-' && next.1.is_ascii_alphabetic());
    (!goes_on && !names_no_machine(octets) && !is_version(text, start, octets)).then_some(end)
}

/// Loopback, unspecified, broadcast, netmasks and whole networks such as `10.0.0.0`.
fn names_no_machine(octets: [u8; 4]) -> bool {
    matches!(octets, [127, ..] | [_, 0, 0, 0] | [255, 255, ..])
}

/// True if the four numbers are a version by what stands before them.
fn is_version(text: &str, start: usize, octets: [u8; 4]) -> bool {
    const VERSION_WORDS: [&str; 25] = [
        "version",
        "versions",
        "ver",
        "v",
        "release",
        "released",
        "upgrade",
        "upgraded",
        "upgrading",
        "bump",
        "bumped",
        "build",
        "tag",
        "downgrade",
        "update",
        "updated",
        "updating",
        "install",
        "installed",
        "package",
        "sdk",
        "driver",
        "firmware",
        "patch",
        "requires",
    ];
    let bytes = text.as_bytes();
    // `10.0.0.1-10.0.0.9` is a range of machines, `name2-1.2.3.4` a version.
    let lead = run_back(bytes, start.saturating_sub(1), 16, |byte| byte.is_ascii_digit() || byte == b'.');
    let range = lead > 0 && !before(bytes, start - 1 - lead).is_ascii_alphabetic();
    if before(bytes, start) == b'-' && range {
        return false;
    }
    if matches!(before(bytes, start), b'~' | b'^' | b'-' | b'>' | b'<') {
        return !text.get(..start).is_some_and(|head| head.ends_with("->"));
    }
    let head = text.get(..start).unwrap_or_default();
    if [">=", "<=", "==", "~=", "!="].iter().any(|sign| head.trim_end_matches(' ').ends_with(sign)) {
        return true;
    }
    if before(bytes, start) == b'@' || is_product(head) {
        return true;
    }
    let line = tail_of_line(text, start, 48);
    // Versions are made of small numbers; an address after "version" would be odd anyway.
    let small = octets.iter().all(|octet| *octet < 100);
    small && line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| VERSION_WORDS.contains(&word))
}

/// True if the text ends with the name of a product as browsers give it, `Chrome/`; Java writes
/// `host/10.1.2.3` alike, but few hosts are a single capitalised word.
fn is_product(head: &str) -> bool {
    let Some(name) = head.strip_suffix('/') else { return false };
    let bytes = name.as_bytes();
    let length = run_back(bytes, bytes.len(), 32, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let word = name.get(name.len() - length..).unwrap_or_default();
    word.starts_with(|c: char| c.is_ascii_uppercase()) && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// What stands before a place on its line, at most `most` bytes, in lower case.
fn tail_of_line(text: &str, end: usize, most: usize) -> String {
    let bytes = text.as_bytes();
    let length = run_back(bytes, end, most, |byte| byte != b'\n');
    let from = (end - length..=end).find(|&from| text.is_char_boundary(from)).unwrap_or(end);
    text.get(from..end).unwrap_or_default().to_ascii_lowercase()
}

fn find_ipv6(text: &str, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
    let mut done = 0;
    for colon in memchr_iter(b':', bytes) {
        if colon < done {
            continue;
        }
        let start = colon - run_back(bytes, colon, 5, is_part);
        let length = run(bytes, start, usize::MAX, is_part);
        done = start + length;
        let inside = before(bytes, start).is_ascii_alphanumeric() || matches!(before(bytes, start), b'_' | b'.' | b'-');
        let next = at(bytes, done);
        if inside || length > 40 || next.is_ascii_alphanumeric() || next == b'_' {
            continue;
        }
        let Some(address) = text.get(start..done) else { continue };
        let address = if address.ends_with("::") { address } else { address.trim_end_matches(':') };
        if is_machine_address(address) {
            hits.push(Hit { start, end: start + address.len(), what: Sensitive::Ip });
        }
    }
}

/// An IPv6 address that names a machine. Paths of code such as `a::b` are addresses by the letter,
/// so the first group must be as long as those of all networks in use, and a digit must be there.
fn is_machine_address(address: &str) -> bool {
    let first = address.split(':').next().unwrap_or_default();
    first.len() >= 3
        && address.bytes().filter(|byte| *byte == b':').count() >= 2
        && address.bytes().any(|byte| byte.is_ascii_digit())
        && address.parse::<Ipv6Addr>().is_ok()
}

/// `123-45-6789` within the ranges that were ever given out.
fn social_security(bytes: &[u8], start: usize) -> Option<usize> {
    let digit = |offset: usize| at(bytes, start + offset).is_ascii_digit();
    let shape = (0..11).all(|offset| match offset {
        3 | 6 => at(bytes, start + offset) == b'-',
        _ => digit(offset),
    });
    let part = |from: usize, to: usize| bytes.get(start + from..start + to).unwrap_or_default();
    let given = part(0, 3) != b"000"
        && part(0, 3) != b"666"
        && part(0, 1) != b"9"
        && part(4, 6) != b"00"
        && part(7, 11) != b"0000";
    let end = start + 11;
    let ends = ends_number(bytes, end) && at(bytes, end) != b'-';
    (shape && given && ends && before(bytes, start) != b'-' && before(bytes, start) != b'/').then_some(end)
}

/// Brazilian tax id `123.456.789-09` with its two check digits.
fn cpf(bytes: &[u8], start: usize) -> Option<usize> {
    let shape = (0..14).all(|offset| match offset {
        3 | 7 => at(bytes, start + offset) == b'.',
        11 => at(bytes, start + offset) == b'-',
        _ => at(bytes, start + offset).is_ascii_digit(),
    });
    if !shape || !ends_number(bytes, start + 14) {
        return None;
    }
    let digits: Vec<u32> = digits_of(bytes.get(start..start + 14)?);
    let check = |length: u32| {
        let sum: u32 = digits.iter().zip((2..=length + 1).rev()).map(|(digit, weight)| digit * weight).sum();
        sum * 10 % 11 % 10
    };
    let same = digits.iter().all(|digit| Some(digit) == digits.first());
    (!same && digits.get(9) == Some(&check(9)) && digits.get(10) == Some(&check(10))).then_some(start + 14)
}

fn digits_of(bytes: &[u8]) -> Vec<u32> {
    bytes.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0')).collect()
}

/// A payment card: an issuer's prefix, its length, its grouping, and Luhn's check digit.
fn card(bytes: &[u8], start: usize) -> Option<usize> {
    let separator = at(bytes, start + 4);
    let grouped = matches!(separator, b' ' | b'-');
    let length = run(bytes, start, 23, |byte| byte.is_ascii_digit() || (grouped && byte == separator));
    let length = length - usize::from(grouped && before(bytes, start + length) == separator);
    let number = bytes.get(start..start + length)?;
    let well_grouped = !grouped || {
        let groups: Vec<usize> = number.split(|byte| *byte == separator).map(<[u8]>::len).collect();
        matches!(groups.as_slice(), [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 4, 3] | [4, 4, 4, 1])
    };
    let digits = digits_of(number);
    let end = start + length;
    let whole = ends_number(bytes, end) && before(bytes, start) != b'-' && before(bytes, start) != b'+';
    (whole && well_grouped && has_issuer(&digits) && luhn(&digits)).then_some(end)
}

fn has_issuer(digits: &[u32]) -> bool {
    let prefix = digits.iter().take(4).fold(0, |sum, digit| sum * 10 + digit);
    match digits.len() {
        16 => {
            matches!(prefix, 4000..=4999 | 5100..=5599 | 2221..=2720 | 6011 | 6440..=6599 | 3528..=3589 | 6200..=6299)
        }
        15 => matches!(prefix, 3400..=3499 | 3700..=3799),
        14 => matches!(prefix, 3000..=3059 | 3600..=3699 | 3800..=3999),
        13 | 19 => (4000..=4999).contains(&prefix),
        _ => false,
    }
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| if index % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
        .sum();
    let varied = digits.iter().any(|digit| Some(digit) != digits.first());
    varied && sum.is_multiple_of(10)
}

/// Countries and the lengths of their IBANs, sorted.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// An IBAN whose check digits start at `start`: its country is the two letters before.
fn iban(text: &str, start: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let from = start.checked_sub(2)?;
    let country = text.get(from..start)?;
    let found = IBAN_LENGTHS.binary_search_by_key(&country, |(name, _)| name).ok()?;
    let (_, length) = IBAN_LENGTHS.get(found)?;
    if before(bytes, from).is_ascii_alphanumeric() {
        return None;
    }
    let mut taken = Vec::with_capacity(*length);
    let mut end = from;
    while taken.len() < *length && end - from < WINDOW {
        match at(bytes, end) {
            b' ' if !taken.is_empty() && taken.len() % 4 == 0 => {}
            byte if byte.is_ascii_uppercase() || byte.is_ascii_digit() => taken.push(byte),
            _ => return None,
        }
        end += 1;
    }
    let whole = taken.len() == *length && !at(bytes, end).is_ascii_alphanumeric();
    (whole && mod_97(&taken) == 1).then_some((from, end))
}

fn mod_97(iban: &[u8]) -> u32 {
    let (head, tail) = iban.split_at(iban.len().min(4));
    tail.iter().chain(head).fold(0, |rest, byte| {
        if byte.is_ascii_digit() {
            (rest * 10 + u32::from(byte - b'0')) % 97
        } else {
            (rest * 100 + u32::from(byte.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97
        }
    })
}

/// A UK national insurance number in its written form, `AB 12 34 56 C`.
fn nino(text: &str, start: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let from = start.checked_sub(3)?;
    let shape = "LL 00 00 00 A";
    let fits = shape.bytes().enumerate().all(|(offset, sign)| {
        let byte = at(bytes, from + offset);
        match sign {
            b'L' => byte.is_ascii_uppercase() && !b"DFIQUV".contains(&byte),
            b'0' => byte.is_ascii_digit(),
            b'A' => (b'A'..=b'D').contains(&byte),
            _ => byte == b' ',
        }
    });
    let end = from + shape.len();
    let whole = !before(bytes, from).is_ascii_alphanumeric() && !at(bytes, end).is_ascii_alphanumeric();
    (fits && whole).then_some((from, end))
}

/// A phone number whose first digit is at `start`.
fn phone(text: &str, start: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let opened = usize::from(before(bytes, start) == b'(');
    let plus = usize::from(before(bytes, start - opened) == b'+');
    let from = start - opened - plus;
    let ahead = before(bytes, from);
    if ahead.is_ascii_alphanumeric() || matches!(ahead, b'_' | b'#' | b'+' | b'@' | b'$') {
        return None;
    }
    let groups = Groups::read(bytes, start);
    if !ends_number(bytes, groups.end) || matches!(at(bytes, groups.end), b'%' | b'*' | b'@') {
        return None;
    }
    let fits = if plus == 1 {
        groups.is_international(matches!(ahead, 0 | b'\n'))
    } else {
        groups.is_north_american(opened == 1)
    };
    let told = || groups.may_be_phone() && has_phone_word(text, from);
    let start_of_number = if opened == 1 && plus == 0 && !groups.closes { start } else { from };
    (fits || told()).then_some((start_of_number, groups.end))
}

/// Digits in groups, as people write phone numbers.
struct Groups {
    lengths: Vec<usize>,
    first_digit: u8,
    second_group: u8,
    separators: Vec<u8>,
    closes: bool,
    end: usize,
}

impl Groups {
    /// Reads groups of digits with a single separator (or `) `) between them.
    fn read(bytes: &[u8], start: usize) -> Self {
        let mut groups = Self {
            lengths: Vec::new(),
            first_digit: at(bytes, start),
            second_group: 0,
            separators: Vec::new(),
            closes: false,
            end: start,
        };
        let mut place = start;
        while place < start + WINDOW {
            let digits = run(bytes, place, 20, |byte| byte.is_ascii_digit());
            if digits == 0 {
                break;
            }
            if groups.lengths.len() == 1 {
                groups.second_group = at(bytes, place);
            }
            groups.lengths.push(digits);
            groups.end = place + digits;
            let mut next = groups.end;
            let separator = at(bytes, next);
            match separator {
                b')' if !groups.closes => {
                    groups.closes = true;
                    next += 1 + usize::from(matches!(at(bytes, next + 1), b' ' | b'-'));
                }
                b' ' | b'-' | b'.' | b'/' => next += 1,
                _ => break,
            }
            // `+1 (415) …`: the bracket opens behind the country code.
            next += usize::from(at(bytes, next) == b'(');
            groups.separators.push(separator);
            place = next;
        }
        groups
    }

    fn total(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// After a `+`: eight to fifteen digits in even groups. At the start of a line, where diffs have
    /// their sign, a bare number must be a long one.
    fn is_international(&self, opens_line: bool) -> bool {
        let opening = self.lengths.first().copied().unwrap_or(0);
        // `+2.32.3 (2024` is an added line of a changelog.
        let used = self.separators.get(..self.lengths.len().saturating_sub(1)).unwrap_or_default();
        let dots = used.iter().filter(|sign| **sign == b'.').count();
        let even = (dots == 0 || dots == used.len())
            && (self.closes || self.lengths.iter().skip(1).all(|length| *length >= 2));
        let grouped = self.lengths.len() > 1 && opening <= 5 && even;
        let whole = self.lengths.len() == 1 && self.total() >= if opens_line { 11 } else { 10 };
        (8..=15).contains(&self.total()) && self.first_digit != b'0' && (grouped || whole)
    }

    /// `(415) 555-2671`, `415-555-2671`, `415.555.2671`, `1-800-555-0199`.
    fn is_north_american(&self, opened: bool) -> bool {
        let used = self.separators.get(..self.lengths.len().saturating_sub(1)).unwrap_or_default();
        let firm =
            used.iter().all(|sign| matches!(sign, b'-' | b'.')) && used.windows(2).all(|two| two.first() == two.last());
        match self.lengths.as_slice() {
            [3, 3, 4] => (b'2'..=b'9').contains(&self.first_digit) && (firm || (opened && self.closes)),
            [1, 3, 3, 4] => self.first_digit == b'1' && (b'2'..=b'9').contains(&self.second_group) && firm,
            _ => false,
        }
    }

    /// Enough digits for a number that something else says is a phone number.
    fn may_be_phone(&self) -> bool {
        let year_like = self.lengths.first() == Some(&4) && self.separators.first() == Some(&b'-') && self.total() == 8;
        (7..=15).contains(&self.total()) && self.lengths.len() <= 6 && !year_like
    }
}

/// True if the words before say that a phone number follows.
fn has_phone_word(text: &str, from: usize) -> bool {
    const WORDS: [&str; 15] = [
        "phone",
        "telephone",
        "tel",
        "tel.",
        "mobile",
        "cell",
        "cellphone",
        "fax",
        "whatsapp",
        "sms",
        "call me",
        "call us",
        "text me",
        "reach me",
        "dial",
    ];
    const FILLERS: [&str; 14] =
        ["number", "no", "no.", "nr", "is", "at", "on", "my", "us", "me", "the", "under", "via", "was"];
    let line = tail_of_line(text, from, 48);
    let words = line.trim_end_matches([' ', ':', '=', '"', '\'', '(', '#', '-']);
    let mut rest = words;
    // Walk back over "number is", so that the phone word stands right before the digits.
    for _ in 0..4 {
        let is_word_end = |word: &&str| {
            rest.ends_with(*word) && !rest.trim_end_matches(*word).ends_with(|c: char| c.is_alphanumeric())
        };
        if WORDS.iter().any(is_word_end) {
            return true;
        }
        let Some(filler) = FILLERS.iter().find(|word| is_word_end(word)) else { return false };
        rest = rest.strip_suffix(filler).unwrap_or_default().trim_end_matches([' ', ':', '_', '"', ',']);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_countries_is_in_order() {
        assert!(IBAN_LENGTHS.is_sorted(), "binary search needs order");
    }
}
