//! Token counts by OpenAI's `o200k_base`, the measure of every budget.
//!
//! Counted once when text comes in; recall only adds numbers up.

/// The number of `o200k_base` tokens of `text`.
#[must_use]
pub fn count(text: &str) -> u32 {
    u32::try_from(bpe_openai::o200k_base().count(text)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_agree_with_known_encodings() {
        // Known values of o200k_base as OpenAI's tokenizer page shows them.
        assert_eq!(super::count(""), 0);
        assert_eq!(super::count("hello world"), 2);
        assert_eq!(super::count("tiktoken is great!"), 6);
    }
}
