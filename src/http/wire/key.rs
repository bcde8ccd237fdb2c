//! API keys as the admin API takes and shows them: never the key itself, but once.

use super::materials::patched;
use crate::http::check;
use crate::http::error::ApiError;
use cmg_actors::{KeyInfo, KeyLimits, KeyPatch, KeyScope, NewKey};
use cmg_memory::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyBody {
    /// The workspace that the key opens: 1 to 64 letters, digits, `_`, `-` and `.`.
    pub workspace_id: String,
    /// What people call it.
    pub name: String,
    /// `read`, `write`; both when left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<KeyScope>,
    /// When it stops.
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
    /// Requests a minute; 0 for as many as it likes.
    pub rpm_limit: Option<u32>,
    /// Calls to upstreams under way at once; 0 for as many as it likes.
    pub max_concurrent: Option<u32>,
    /// Tokens of upstream models a day (UTC); 0 for as many as it likes.
    pub daily_quota_tokens: Option<u64>,
    /// US dollars a day (UTC), such as `2.50`.
    pub daily_budget_usd: Option<String>,
    /// US dollars a month (UTC).
    pub monthly_budget_usd: Option<String>,
    /// Models that it may use, `author/*` for all of an author; empty: all.
    #[serde(default)]
    pub model_allowlist: Vec<String>,
    /// Models that it may not use, in the same form.
    #[serde(default)]
    pub model_blocklist: Vec<String>,
    /// The model that it uses unless told.
    pub default_model: Option<String>,
}

impl NewKeyBody {
    /// The key to be made, checked.
    ///
    /// # Errors
    ///
    /// 400 that names the field.
    pub fn validate(self, now: Timestamp) -> Result<NewKey, ApiError> {
        check::workspace(&self.workspace_id)?;
        check::name("name", &self.name)?;
        models("model_allowlist", &self.model_allowlist)?;
        models("model_blocklist", &self.model_blocklist)?;
        check::optional_name("default_model", self.default_model.as_ref())?;
        amount("daily_budget_usd", self.daily_budget_usd.as_ref())?;
        amount("monthly_budget_usd", self.monthly_budget_usd.as_ref())?;
        ends_later(self.expires_at, now)?;
        Ok(NewKey {
            workspace_id: self.workspace_id,
            name: self.name,
            scopes: self.scopes,
            expires_at: self.expires_at,
            limits: KeyLimits {
                rpm_limit: self.rpm_limit,
                max_concurrent: self.max_concurrent,
                daily_quota_tokens: self.daily_quota_tokens,
                daily_budget_usd: self.daily_budget_usd,
                monthly_budget_usd: self.monthly_budget_usd,
                model_allowlist: self.model_allowlist,
                model_blocklist: self.model_blocklist,
                default_model: self.default_model,
            },
        })
    }
}

fn amount(param: &str, text: Option<&String>) -> Result<(), ApiError> {
    let wrong =
        || ApiError::invalid_value(param, format!("`{param}` is an amount of US dollars as text, such as \"2.50\""));
    text.map_or(Ok(()), |text| cmg_gateway::money::Nanos::parse_usd(text).map(|_| ()).map_err(|_| wrong()))
}

fn models(param: &str, names: &[String]) -> Result<(), ApiError> {
    if names.len() > 1000 {
        return Err(ApiError::invalid_value(param, format!("`{param}` has at most 1000 names")));
    }
    names.iter().try_for_each(|name| check::name(param, name))
}

fn ends_later(end: Option<Timestamp>, now: Timestamp) -> Result<(), ApiError> {
    if end.is_some_and(|end| end <= now) {
        return Err(ApiError::invalid_value("expires_at", "`expires_at` has passed already"));
    }
    Ok(())
}

/// What is to be changed about a key; what is left out stays, `null` takes it away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyPatchBody {
    /// Another name.
    pub name: Option<String>,
    /// Other scopes.
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<KeyScope>>,
    /// Another end.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Option<Timestamp>>,
    /// Requests a minute.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<u32>)]
    pub rpm_limit: Option<Option<u32>>,
    /// Calls to upstreams under way at once.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<u32>)]
    pub max_concurrent: Option<Option<u32>>,
    /// Tokens a day.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<u64>)]
    pub daily_quota_tokens: Option<Option<u64>>,
    /// US dollars a day.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub daily_budget_usd: Option<Option<String>>,
    /// US dollars a month.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub monthly_budget_usd: Option<Option<String>>,
    /// Models that it may use.
    pub model_allowlist: Option<Vec<String>>,
    /// Models that it may not use.
    pub model_blocklist: Option<Vec<String>>,
    /// The model that it uses unless told.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<String>)]
    pub default_model: Option<Option<String>>,
}

impl KeyPatchBody {
    /// The change, checked.
    ///
    /// # Errors
    ///
    /// 400 that names the field.
    pub fn validate(self, now: Timestamp) -> Result<KeyPatch, ApiError> {
        check::optional_name("name", self.name.as_ref())?;
        check::optional_name("default_model", self.default_model.as_ref().and_then(Option::as_ref))?;
        amount("daily_budget_usd", self.daily_budget_usd.as_ref().and_then(Option::as_ref))?;
        amount("monthly_budget_usd", self.monthly_budget_usd.as_ref().and_then(Option::as_ref))?;
        models("model_allowlist", self.model_allowlist.as_deref().unwrap_or_default())?;
        models("model_blocklist", self.model_blocklist.as_deref().unwrap_or_default())?;
        ends_later(self.expires_at.flatten(), now)?;
        if self.scopes.as_ref().is_some_and(Vec::is_empty) {
            return Err(ApiError::invalid_value(
                "scopes",
                "`scopes` is empty: give read, write or both, or revoke the key",
            ));
        }
        Ok(KeyPatch {
            name: self.name,
            scopes: self.scopes,
            expires_at: self.expires_at,
            rpm_limit: self.rpm_limit,
            max_concurrent: self.max_concurrent,
            daily_quota_tokens: self.daily_quota_tokens,
            daily_budget_usd: self.daily_budget_usd,
            monthly_budget_usd: self.monthly_budget_usd,
            model_allowlist: self.model_allowlist,
            model_blocklist: self.model_blocklist,
            default_model: self.default_model,
        })
    }
}

/// A key as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// Its workspace.
    pub workspace_id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<KeyScope>,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// When it was made.
    #[schema(value_type = String)]
    pub created_at: Timestamp,
    /// When it stops.
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>)]
    pub revoked_at: Option<Timestamp>,
    /// Requests a minute.
    pub rpm_limit: Option<u32>,
    /// Calls to upstreams under way at once.
    pub max_concurrent: Option<u32>,
    /// Tokens a day.
    pub daily_quota_tokens: Option<u64>,
    /// US dollars a day.
    pub daily_budget_usd: Option<String>,
    /// US dollars a month.
    pub monthly_budget_usd: Option<String>,
    /// Models that it may use.
    pub model_allowlist: Vec<String>,
    /// Models that it may not use.
    pub model_blocklist: Vec<String>,
    /// The model that it uses unless told.
    pub default_model: Option<String>,
}

impl From<KeyInfo> for KeyView {
    fn from(info: KeyInfo) -> Self {
        let limits = info.limits;
        Self {
            id: info.id,
            workspace_id: info.workspace_id,
            name: info.name,
            scopes: info.scopes,
            prefix: info.prefix,
            created_at: info.created_at,
            expires_at: info.expires_at,
            revoked_at: info.revoked_at,
            rpm_limit: limits.rpm_limit,
            max_concurrent: limits.max_concurrent,
            daily_quota_tokens: limits.daily_quota_tokens,
            daily_budget_usd: limits.daily_budget_usd,
            monthly_budget_usd: limits.monthly_budget_usd,
            model_allowlist: limits.model_allowlist,
            model_blocklist: limits.model_blocklist,
            default_model: limits.default_model,
        }
    }
}

/// A new key; the only time that the key itself is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewKeyAnswer {
    /// The key.
    pub key: String,
    /// All else about it.
    #[serde(flatten)]
    pub info: KeyView,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::parse;

    #[test]
    fn a_patch_tells_left_out_from_taken_away() {
        let body = parse::<KeyPatchBody>(br#"{"expires_at":null,"rpm_limit":5}"#).unwrap();

        let patch = body.validate(Timestamp(0)).unwrap();

        assert_eq!((patch.expires_at, patch.rpm_limit, patch.daily_quota_tokens), (Some(None), Some(Some(5)), None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, code, param) in [
            (r#"{"workspace_id":"a b","name":"n"}"#, "invalid_value", "workspace_id"),
            (r#"{"workspace_id":"a","name":""}"#, "invalid_value", "name"),
            (r#"{"workspace_id":"a"}"#, "missing_field", "name"),
            (r#"{"workspace_id":"a","name":"n","scopes":["admin"]}"#, "invalid_value", "scopes[0]"),
            (r#"{"workspace_id":"a","name":"n","expires_at":"1970-01-01"}"#, "invalid_value", "expires_at"),
        ] {
            let error = parse::<NewKeyBody>(body.as_bytes()).and_then(|body| body.validate(Timestamp(1))).unwrap_err();
            assert_eq!((error.code(), error.param()), (code, Some(param)), "{body}: {error}");
        }
    }
}
