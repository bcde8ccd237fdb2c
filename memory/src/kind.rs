//! The small vocabularies of memory: what an item is, how it stands, and who spoke.
//!
//! # Invariants
//!
//! - The names are part of the public interface (JSON, filters, exports): `as_str`, `parse` and
//!   serde agree on them, and a test holds them together.
//! - The order of the variants is the order of sorting; new ones go at the end of their group.
//!
//! # Deliberately absent
//!
//! What the kinds do to ranking, and which status may follow which: those are rules of recall and
//! of state.

use serde::{Deserialize, Serialize};

/// Declares a C-like enum together with its public names, so that the two cannot drift apart.
macro_rules! named {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $enum { $($(#[$doc])* $variant),+ }

        impl $enum {
            /// Every variant, in sorting order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The public name: what JSON, filters and exports say.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The variant with exactly this public name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// What an item is. The first five are episodic (what happened, verbatim), the others semantic
    /// (what it means).
    Kind {
        /// One turn of a conversation.
        Chat = "chat",
        /// One hunk of a diff.
        Diff = "diff",
        /// One log event with its continuation lines.
        Log = "log",
        /// One stack trace, whole.
        Stack = "stack",
        /// One failing test with its message.
        TestFail = "test_fail",
        /// What was decided.
        Decision = "decision",
        /// What has to be so for the work to be right.
        Requirement = "requirement",
        /// What limits how it may be done.
        Constraint = "constraint",
        /// What is to be done.
        Task = "task",
        /// What was asked.
        Question = "question",
        /// What is so.
        Fact = "fact",
        /// What somebody likes or wants.
        Preference = "preference",
        /// A standing order to the assistant, the mission included.
        Instruction = "instruction",
        /// Anything else worth keeping.
        Note = "note",
    }
}

impl Kind {
    /// The kind with this public name; [`Kind::from_name`] under the name others expect.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::from_name(name)
    }

    /// True for what happened (`E<n>` ids), false for what it means (`S<n>` ids).
    #[must_use]
    pub const fn is_episodic(self) -> bool {
        matches!(self, Self::Chat | Self::Diff | Self::Log | Self::Stack | Self::TestFail)
    }
}

named! {
    /// How a semantic item stands.
    Status {
        /// Found, not confirmed.
        Provisional = "provisional",
        /// Holds.
        Accepted = "accepted",
        /// A task that was carried out.
        Done = "done",
        /// A later item on the same subject took its place.
        Superseded = "superseded",
        /// Considered and turned down.
        Rejected = "rejected",
    }
}

impl Status {
    /// The status with this public name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::from_name(name)
    }
}

named! {
    /// Who spoke, as the chat interfaces of language models know it.
    Role {
        /// The person.
        User = "user",
        /// The language model.
        Assistant = "assistant",
        /// The one who set the conversation up (`developer` included).
        System = "system",
        /// A tool or function that answered.
        Tool = "tool",
        /// Somebody with a name of their own.
        Other = "other",
    }
}

impl Role {
    /// The role behind a role string or a speaker's name; a name of its own is [`Role::Other`].
    #[must_use]
    pub fn parse(name: &str) -> Self {
        Self::known(name).unwrap_or(Self::Other)
    }

    /// Like [`Role::parse`], and `None` where the name is not one of the usual role names.
    ///
    /// Case and surrounding blanks do not matter.
    #[must_use]
    pub fn known(name: &str) -> Option<Self> {
        const LONGEST: usize = 12;
        let name = name.trim();
        if name.len() > LONGEST {
            return None;
        }
        Some(match name.to_ascii_lowercase().as_str() {
            "user" | "human" | "customer" | "me" => Self::User,
            "assistant" | "ai" | "bot" | "model" | "agent" | "claude" | "chatgpt" | "gpt" | "copilot" | "gemini" => {
                Self::Assistant
            }
            "system" | "developer" => Self::System,
            "tool" | "function" => Self::Tool,
            "other" => Self::Other,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_the_same_to_json_and_to_parse() {
        for &kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        for &status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        for &role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(Role::parse(role.as_str()), role);
        }
        assert_eq!(Kind::parse("Chat"), None, "names are exact");
    }

    #[test]
    fn five_kinds_are_episodic() {
        let episodic: Vec<_> = Kind::ALL.iter().filter(|kind| kind.is_episodic()).collect();

        assert_eq!(episodic, [&Kind::Chat, &Kind::Diff, &Kind::Log, &Kind::Stack, &Kind::TestFail]);
    }

    #[test]
    fn roles_are_known_under_their_usual_names() {
        assert_eq!(Role::parse(" Human "), Role::User);
        assert_eq!(Role::parse("AI"), Role::Assistant);
        assert_eq!(Role::parse("developer"), Role::System);
        assert_eq!(Role::parse("function"), Role::Tool);
        assert_eq!(Role::parse("Alice"), Role::Other);
        assert_eq!(Role::known("Alice"), None);
    }
}
