//! Where things are on a page, by their words.

use thirtyfour::By;

/// A button or a link with this name.
pub(crate) fn control(name: &str) -> By {
    let name = quoted(name);
    let kinds = "self::button or self::a[@href] or self::summary or @role='button' or @role='menuitem'";
    By::XPath(format!("//*[{kinds}][normalize-space(.)={name} or normalize-space(@aria-label)={name}]"))
}

/// A button with this name that sends a form.
pub(crate) fn sender(name: &str) -> By {
    let name = quoted(name);
    By::XPath(format!("//button[not(@type) or @type='submit'][normalize-space(.)={name} or @aria-label={name}]"))
}

/// A field with this label.
pub(crate) fn field(label: &str) -> By {
    let label = quoted(label);
    let kinds = "self::input or self::textarea or self::select";
    let labelled =
        format!("@id=//label[normalize-space(.)={label}]/@for or ancestor::label[normalize-space(.)={label}]");
    By::XPath(format!("//*[{kinds}][{labelled} or @aria-label={label}]"))
}

/// An option of a list, within the list.
pub(crate) fn option(words: &str) -> By {
    By::XPath(format!(".//option[normalize-space(.)={}]", quoted(words)))
}

/// A heading with these words.
pub(crate) fn heading(words: &str) -> By {
    let words = quoted(words);
    let kinds = "self::h1 or self::h2 or self::h3 or @role='heading'";
    By::XPath(format!("//*[{kinds}][normalize-space(.)={words}]"))
}

/// Text in XPath 1.0, which knows no escapes: what has both kinds of quotes is put together from pieces.
fn quoted(text: &str) -> String {
    if text.contains('\'') {
        let pieces: Vec<_> = text.split('\'').map(|piece| format!("'{piece}'")).collect();
        format!("concat({})", pieces.join(r#","'","#))
    } else {
        format!("'{text}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_any_quotes_are_one_text() {
        assert_eq!(quoted("Add key"), "'Add key'");
        assert_eq!(quoted(r#"Ann's "key""#), r#"concat('Ann',"'",'s "key"')"#);
    }
}
