//! The room of the LLM gateway: which upstream it talks to. Read by the gateway's client.

use crate::secret::Secret;
use crate::table::{Kind, room};

room! {
    /// Which upstream the LLM gateway talks to.
    Gateway in "gateway" {
        /// Key at OpenRouter. Not set: routes that need an upstream say so. Read by the gateway's client.
        openrouter_api_key: Option<Secret> = "OPENROUTER_API_KEY",
            Kind::Secret { allowed: "a text without spaces", check: |text| text.bytes().all(|b| b.is_ascii_graphic()) };
        /// Base URL of OpenRouter or of anything that speaks its API. Read by the gateway's client.
        openrouter_api_base: String = "OPENROUTER_API_BASE",
            Kind::Text { allowed: "an http:// or https:// URL without user and password", check: is_base };
        /// Model of a chat request that names none; not set: such a request is refused. Read by the gateway's client.
        default_model: Option<String> = "DEFAULT_MODEL",
            Kind::Text { allowed: "a model name such as author/model", check: |text| !text.contains(char::is_whitespace) };
    }
}

fn is_base(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', ' ', '?', '#']))
}
