//! API keys as the admin API takes and shows them: never the key itself, but once.

use super::materials::patched;
use crate::http::check;
use crate::http::error::ApiError;
use cmg_actors::{KeyInfo, KeyPatch, KeyScope, NewKey};
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
    /// Requests a minute.
    pub rpm_limit: Option<u32>,
    /// Tokens a day.
    pub daily_quota_tokens: Option<u64>,
    /// Models that it may use.
    #[serde(default)]
    pub model_allowlist: Vec<String>,
    /// Models that it may not use.
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
        ends_later(self.expires_at, now)?;
        Ok(NewKey {
            workspace_id: self.workspace_id,
            name: self.name,
            scopes: self.scopes,
            expires_at: self.expires_at,
            rpm_limit: self.rpm_limit,
            daily_quota_tokens: self.daily_quota_tokens,
            model_allowlist: self.model_allowlist,
            model_blocklist: self.model_blocklist,
            default_model: self.default_model,
        })
    }
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
    /// Tokens a day.
    #[serde(deserialize_with = "patched")]
    #[schema(value_type = Option<u64>)]
    pub daily_quota_tokens: Option<Option<u64>>,
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
            daily_quota_tokens: self.daily_quota_tokens,
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
    /// Tokens a day.
    pub daily_quota_tokens: Option<u64>,
    /// Models that it may use.
    pub model_allowlist: Vec<String>,
    /// Models that it may not use.
    pub model_blocklist: Vec<String>,
    /// The model that it uses unless told.
    pub default_model: Option<String>,
}

impl From<KeyInfo> for KeyView {
    fn from(info: KeyInfo) -> Self {
        Self {
            id: info.id,
            workspace_id: info.workspace_id,
            name: info.name,
            scopes: info.scopes,
            prefix: info.prefix,
            created_at: info.created_at,
            expires_at: info.expires_at,
            revoked_at: info.revoked_at,
            rpm_limit: info.rpm_limit,
            daily_quota_tokens: info.daily_quota_tokens,
            model_allowlist: info.model_allowlist,
            model_blocklist: info.model_blocklist,
            default_model: info.default_model,
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
