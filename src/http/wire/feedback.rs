//! `POST /v1/feedback`: what a caller says about an item that it was given.

use crate::http::check;
use crate::http::error::ApiError;
use cmg_memory::ids::ItemId;
use cmg_memory::item::Feedback;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Characters of a comment.
const LONGEST_COMMENT: usize = 4096;
/// The names of feedback, aliases included.
const TYPES: [&str; 8] = ["helpful", "useful", "not_helpful", "not_useful", "click", "reference", "outdated", "wrong"];

/// What is said about an item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackBody {
    /// The item.
    pub item_id: String,
    /// `helpful` (`useful`), `not_helpful` (`not_useful`), `click`, `reference`, `outdated` or `wrong`.
    pub feedback_type: String,
    /// How strongly it is meant, 0 to 1; 1 when left out.
    pub value: Option<f64>,
    /// In words.
    pub comment: Option<String>,
}

/// Feedback that was checked.
#[derive(Debug)]
pub struct Said {
    /// The item.
    pub id: ItemId,
    /// What is said.
    pub feedback: Feedback,
    /// How strongly, 0 to 1.
    pub value: f32,
    /// In words.
    pub comment: Option<String>,
}

impl FeedbackBody {
    /// The feedback, checked.
    ///
    /// # Errors
    ///
    /// 400 that names the field.
    pub fn validate(self) -> Result<Said, ApiError> {
        let no_id = || ApiError::invalid_value("item_id", "`item_id` is the id of an item such as E1 or S1");
        let id = ItemId::parse(&self.item_id).ok_or_else(no_id)?;
        let no_type = || check::one_of("feedback_type", TYPES.into_iter());
        let feedback = Feedback::parse(&self.feedback_type).ok_or_else(no_type)?;
        let value = self.value.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&value) {
            return Err(ApiError::invalid_value("value", "`value` is a number from 0 to 1"));
        }
        if let Some(comment) = &self.comment {
            check::text("comment", comment)?;
            if comment.chars().nth(LONGEST_COMMENT).is_some() {
                return Err(ApiError::invalid_value(
                    "comment",
                    format!("`comment` has at most {LONGEST_COMMENT} characters"),
                ));
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "a number from 0 to 1 loses digits that nobody meant")]
        Ok(Said { id, feedback, value: value as f32, comment: self.comment })
    }
}

/// What feedback did.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackAnswer {
    /// Always true.
    pub success: bool,
    /// The item.
    #[schema(value_type = String)]
    pub item_id: ItemId,
    /// What the item has proved worth so far, 0 to 1; 0.5 says nothing.
    pub salience: f64,
    /// One sentence for people.
    pub message: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(item_id: &str, feedback_type: &str, value: Option<f64>) -> Option<String> {
        let body =
            FeedbackBody { item_id: item_id.to_owned(), feedback_type: feedback_type.to_owned(), value, comment: None };
        body.validate().err().and_then(|error| error.param().map(str::to_owned))
    }

    #[test]
    fn feedback_is_checked_field_by_field() {
        assert_eq!(param("S1", "useful", None), None);
        assert_eq!(param("E1", "wrong", Some(0.0)), None);
        assert_eq!(param("x", "useful", None).as_deref(), Some("item_id"));
        assert_eq!(param("S1", "nice", None).as_deref(), Some("feedback_type"));
        assert_eq!(param("S1", "useful", Some(1.1)).as_deref(), Some("value"));
        assert_eq!(param("S1", "useful", Some(f64::NAN)).as_deref(), Some("value"));
    }

    #[test]
    fn every_name_is_known_to_memory() {
        assert!(TYPES.iter().all(|name| Feedback::parse(name).is_some()));
    }
}
