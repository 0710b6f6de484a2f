//! What names must look like.

/// Non-empty text of one line, at most 1000 characters.
pub(crate) fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= 1000 && !text.chars().any(char::is_control)
}
