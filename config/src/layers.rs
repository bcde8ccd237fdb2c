//! The layers of a configuration and how they are laid on each other: files by line, the environment by name.

use std::ffi::OsString;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::error::{ConfigError, Origin};
use crate::table::{Key, Kind, Value, Values};
use crate::{Environment, Sources, keys};

/// The compiled-in defaults.
const DEFAULT: &str = include_str!("../default.toml");

/// Sections of the file and so of the `CMG_<SECTION>_…` variables.
const SECTIONS: [&str; 8] = ["server", "journal", "memory", "limits", "admin", "gateway", "telemetry", "secrets"];

/// The merged values and everything that was wrong on the way.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) values: Values,
    pub(crate) errors: Vec<ConfigError>,
}

/// The compiled-in defaults alone.
pub(crate) fn defaults() -> Values {
    let mut layers = Layers::default();
    layers.lay_text("default.toml", DEFAULT, |_| Origin::Default);
    debug_assert!(layers.errors.is_empty(), "{:?}", layers.errors);
    layers.values
}

/// The compiled-in settings of development.
pub(crate) fn development() -> Values {
    Layers::of(&Sources::default(), Environment::Development).values
}

/// The compiled-in file of an environment.
fn built_in(environment: Environment) -> &'static str {
    match environment {
        Environment::Development => include_str!("../development.toml"),
        Environment::Test => include_str!("../test.toml"),
        Environment::Production => include_str!("../production.toml"),
    }
}

impl Layers {
    /// Lays all sources on each other, the last winning.
    pub(crate) fn of(sources: &Sources, environment: Environment) -> Self {
        let mut layers = Self { values: defaults(), errors: Vec::new() };
        layers.lay_environment_file(sources, environment);
        if let Some(path) = &sources.file {
            match read(path) {
                Ok(text) => layers.lay_file(&path.display().to_string(), &text),
                Err(error) => layers.unreadable(path, &error),
            }
        }
        layers.lay_variables(sources);
        layers.read_secret_file();
        layers
    }

    /// The file of the environment beside the working directory if there is one, else the compiled-in one.
    fn lay_environment_file(&mut self, sources: &Sources, environment: Environment) {
        let path = sources.folder.as_ref().map(|folder| folder.join(format!("{environment}.toml")));
        match path.as_ref().map(|path| (path, read(path))) {
            Some((path, Ok(text))) => self.lay_file(&path.display().to_string(), &text),
            Some((path, Err(error))) if error.kind() != std::io::ErrorKind::NotFound => self.unreadable(path, &error),
            _ => {
                let name = format!("built-in {environment}.toml");
                self.lay_text(&name, built_in(environment), |_| Origin::BuiltIn(environment));
            }
        }
    }

    fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        self.errors.push(ConfigError::Unreadable { file: path.display().to_string(), reason: error.to_string() });
    }

    fn lay_file(&mut self, name: &str, text: &str) {
        self.lay_text(name, text, |line| Origin::File { file: name.to_owned(), line });
    }

    /// Lays one file: every key it holds must be known and every value allowed.
    fn lay_text(&mut self, name: &str, text: &str, origin: impl Fn(usize) -> Origin) {
        let (table, problems) = DeTable::parse_recoverable(text);
        if !problems.is_empty() {
            self.errors.extend(problems.iter().map(|problem| ConfigError::Syntax {
                file: name.to_owned(),
                line: line_of(text, problem.span().map_or(0, |span| span.start)),
                message: problem.message().to_owned(),
            }));
            return;
        }
        let file = File { name, text, origin };
        for (section, value) in table.get_ref() {
            let line = line_of(text, section.span().start);
            match (value.get_ref(), SECTIONS.contains(&section.get_ref().as_ref())) {
                (DeValue::Table(entries), true) => self.lay_section(&file, section.get_ref(), entries),
                _ => self.unknown_top(&file, section.get_ref(), line),
            }
        }
    }

    fn lay_section<F: Fn(usize) -> Origin>(&mut self, file: &File<'_, F>, section: &str, entries: &DeTable<'_>) {
        for (name, value) in entries {
            let line = line_of(file.text, name.span().start);
            let path = format!("{section}.{}", name.get_ref());
            let Some(key) = keys().find(|key| key.path == path) else {
                self.unknown_key(file.name, line, path);
                continue;
            };
            match key.kind.read_toml(value.get_ref()) {
                Some(value) => self.values.put(key.path, value, (file.origin)(line)),
                None => {
                    let given = file.text.get(value.span()).unwrap_or_default();
                    let place = Origin::File { file: file.name.to_owned(), line };
                    self.errors.push(bad_value(key, place, given));
                }
            }
        }
    }

    fn unknown_top<F>(&mut self, file: &File<'_, F>, name: &str, line: usize) {
        if name == "environment" {
            self.errors.push(ConfigError::Contradiction(format!(
                "{}, line {line}: environment: give it as the variable ENVIRONMENT, because it chooses which files are read",
                file.name
            )));
        } else {
            self.unknown_key(file.name, line, name.to_owned());
        }
    }

    fn unknown_key(&mut self, file: &str, line: usize, key: String) {
        let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
        let nearest = nearest(&key, keys().flat_map(|k| [(k.path, k.path), (last(k.path), k.path)]))
            .or_else(|| nearest(&key, SECTIONS.iter().map(|section| (*section, *section))));
        self.errors.push(ConfigError::UnknownKey { file: file.to_owned(), line, key, nearest });
    }

    /// Lays the environment: an empty variable counts as not set.
    fn lay_variables(&mut self, sources: &Sources) {
        for key in keys() {
            let Some(given) = sources.env.get(key.env).filter(|given| !given.is_empty()) else { continue };
            match given.to_str().and_then(|text| key.kind.read_text(text)) {
                Some(value) => self.values.put(key.path, value, Origin::Variable(key.env)),
                None => self.errors.push(bad_value(key, Origin::Variable(key.env), &given.to_string_lossy())),
            }
        }
        self.errors.extend(sources.env.keys().filter(|name| is_ours_and_unknown(name)).map(|name| {
            let known = keys().map(|key| key.env).filter(|env| env.starts_with("CMG_"));
            ConfigError::UnknownVariable { name: name.clone(), nearest: nearest(name, known.map(|env| (env, env))) }
        }));
    }

    /// Reads the secret key from its file, if a file is named.
    fn read_secret_file(&mut self) {
        let Some(path) = self.values.get::<Option<String>>("secrets.secret_key_file") else { return };
        if self.is_given("secrets.secret_key") {
            self.errors.push(ConfigError::Contradiction(
                "secrets.secret_key (SECRET_KEY) and secrets.secret_key_file (SECRET_KEY_FILE): give one of them, not both"
                    .to_owned(),
            ));
            return;
        }
        match read(Path::new(&path)) {
            Ok(text) => {
                let key = text.strip_suffix('\n').unwrap_or(&text);
                let key = key.strip_suffix('\r').unwrap_or(key);
                let value = Value::Secret(crate::Secret::new(key));
                self.values.put("secrets.secret_key", value, Origin::SecretFile(path));
            }
            Err(error) => self.unreadable(Path::new(&path), &error),
        }
    }

    /// True when somebody set `path`, by a file or a variable, to something.
    pub(crate) fn is_given(&self, path: &str) -> bool {
        self.values.setting(path).is_some_and(|setting| !setting.value.is_empty() && setting.is_changed())
    }
}

/// A file while it is laid.
struct File<'a, F> {
    name: &'a str,
    text: &'a str,
    origin: F,
}

fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    std::fs::read_to_string(path).map(Zeroizing::new)
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// A `CMG_<SECTION>_…` variable that is in no row; other `CMG_…` variables belong to the command line.
fn is_ours_and_unknown(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("CMG_") else { return false };
    let in_section = |section: &&str| {
        rest.get(..section.len()).is_some_and(|head| head.eq_ignore_ascii_case(section))
            && rest.as_bytes().get(section.len()) == Some(&b'_')
    };
    SECTIONS.iter().any(in_section) && !keys().any(|key| key.env == name)
}

pub(crate) fn bad_value(key: &Key, place: Origin, given: &str) -> ConfigError {
    ConfigError::BadValue {
        key: key.path.to_owned(),
        place,
        given: shown(&key.kind, given),
        allowed: key.kind.allowed(),
    }
}

/// What was given, fit to be printed: no secret, no URL with a user in it, no page of text.
fn shown(kind: &Kind, given: &str) -> String {
    const LONGEST: usize = 80;
    if kind.is_secret() {
        return "(hidden)".to_owned();
    }
    if given.contains("://") && given.contains('@') {
        return "(hidden: a URL with a user or password)".to_owned();
    }
    let text: String = given.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if text.starts_with(['"', '\'', '[']) { text } else { format!("`{text}`") }
}

/// The candidate that looks most like `word`, if one does; candidates are pairs of what to compare and what to say.
pub(crate) fn nearest(
    word: &str,
    candidates: impl Iterator<Item = (&'static str, &'static str)>,
) -> Option<&'static str> {
    let limit = 1 + word.len() / 5;
    candidates
        .map(|(compared, said)| (distance(word, compared), said))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, said)| said)
}

/// Levenshtein's distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

/// The environment as `ENVIRONMENT` names it; development when it is not set.
pub(crate) fn environment(sources: &Sources) -> Result<Environment, ConfigError> {
    let Some(given) = sources.env.get("ENVIRONMENT").filter(|given| !given.is_empty()) else {
        return Ok(Environment::Development);
    };
    let known = |given: &OsString| {
        let text = given.to_str()?.trim();
        Environment::ALL.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text))
    };
    known(given).ok_or_else(|| ConfigError::BadValue {
        key: "environment".to_owned(),
        place: Origin::Variable("ENVIRONMENT"),
        given: shown(&Kind::Bool, &given.to_string_lossy()),
        allowed: format!("one of {}", Environment::ALL.map(Environment::as_str).join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_every_key_and_nothing_else() {
        let mut layers = Layers::default();
        layers.lay_text("default.toml", DEFAULT, |_| Origin::Default);

        assert_eq!(layers.errors, []);
        let missing: Vec<_> = keys().filter(|key| layers.values.setting(key.path).is_none()).map(|k| k.path).collect();
        assert!(missing.is_empty(), "default.toml lacks {missing:?}");
    }

    #[test]
    fn a_built_in_file_is_without_fault() {
        for environment in Environment::ALL {
            let mut layers = Layers::default();
            layers.lay_text("built-in", built_in(environment), |_| Origin::BuiltIn(environment));
            assert_eq!(layers.errors, [], "{environment}.toml");
        }
    }

    #[test]
    fn every_section_of_the_table_is_known_and_every_name_is_used_once() {
        let mut names: Vec<_> = keys().flat_map(|key| [key.path, key.env]).collect();
        assert!(keys().all(|key| SECTIONS.contains(&key.path.split('.').next().unwrap())));
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "a path or variable stands in the table twice");
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("prot", "port"), 2);
        assert_eq!(distance("", "port"), 4);
        assert_eq!(distance("server.port", "server.port"), 0);
    }

    #[test]
    fn what_is_shown_is_neither_secret_nor_long() {
        let text = Kind::Text { allowed: "", check: |_| true };
        assert_eq!(shown(&Kind::Secret { allowed: "", check: |_| true }, "x"), "(hidden)");
        assert!(!shown(&text, "postgres://u:pw@host/db").contains("pw"));
        assert!(shown(&text, &"x".repeat(500)).len() < 100);
    }
}
