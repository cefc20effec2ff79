//! As much of HTML as it takes to fill in a form.

use anyhow::{Context as _, Result};
use url::Url;

/// A form of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Whether it is sent with `POST`.
    pub post: bool,
    /// Where it is sent.
    pub action: Url,
    /// Its inputs with a name, as they stand. Buttons are not among them.
    pub fields: Vec<(String, String)>,
}

/// The forms of a page, in order.
///
/// # Errors
/// When an action is not a URL.
pub fn forms(page: &Url, html: &str) -> Result<Vec<Form>> {
    let mut forms: Vec<Form> = Vec::new();
    let mut inside = false;
    for tag in tags(html) {
        match tag.name.as_str() {
            "form" => {
                let action = tag.attribute("action").unwrap_or_default();
                forms.push(Form {
                    post: tag.attribute("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
                    action: page.join(&action).with_context(|| format!("form action `{action}`"))?,
                    fields: Vec::new(),
                });
                inside = true;
            }
            "/form" => inside = false,
            "input" if inside => {
                let kind = tag.attribute("type").unwrap_or_default();
                if let (Some(form), Some(name)) = (forms.last_mut(), tag.attribute("name"))
                    && !["submit", "button", "checkbox", "radio"].contains(&kind.as_str())
                {
                    form.fields.push((name, tag.attribute("value").unwrap_or_default()));
                }
            }
            _ => {}
        }
    }
    Ok(forms)
}

/// The targets of the links of a page, in order.
pub fn links(page: &Url, html: &str) -> Vec<Url> {
    tags(html).filter(|tag| tag.name == "a").filter_map(|tag| page.join(&tag.attribute("href")?).ok()).collect()
}

struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

fn tags(html: &str) -> impl Iterator<Item = Tag> {
    let mut rest = html;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('<')? + 1..];
            if rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
                let (tag, after) = tag(rest);
                rest = after;
                return Some(tag);
            }
        }
    })
}

/// Reads a tag from behind its `<` to behind its `>`.
fn tag(html: &str) -> (Tag, &str) {
    let end = html.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(html.len());
    let name = html[..end].trim_end_matches('/').to_ascii_lowercase();
    let mut tag = Tag { name, attributes: Vec::new() };
    let mut rest = html[end..].trim_start();
    while !rest.is_empty() && !rest.starts_with('>') {
        let end = rest.find(|c: char| c.is_whitespace() || c == '=' || c == '>').unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let (text, left) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                _ => after.split_at(after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len())),
            };
            value = unescape(text);
            rest = left;
        } else if end == 0 {
            rest = &rest[1..]; // A stray quote: step over it.
        }
        tag.attributes.push((name, value));
        rest = rest.trim_start();
    }
    (tag, rest.strip_prefix('>').unwrap_or(rest))
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (entity, after) = rest[1..].split_once(';').unwrap_or(("", &rest[1..]));
        let decoded = match entity {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => entity
                .strip_prefix('#')
                .and_then(|number| match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok(),
                    None => number.parse().ok(),
                })
                .and_then(char::from_u32),
        };
        match decoded {
            Some(character) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_found_with_its_hidden_fields() {
        let page = Url::parse("http://127.0.0.1:1/consent/7?x=1").unwrap();
        let html = r#"<h1>a < b</h1><form method="POST" action="/go?a=1&amp;b=2">
            <input type=hidden name=csrf value='it&#39;s'><input type="submit" name="no"><input name="empty"/></form>
            <input name=outside><FORM><input name="q" value="z"></FORM>"#;
        let forms = forms(&page, html).unwrap();
        assert_eq!(forms.len(), 2);
        assert!(forms[0].post);
        assert_eq!(forms[0].action.as_str(), "http://127.0.0.1:1/go?a=1&b=2");
        assert_eq!(forms[0].fields, [("csrf".into(), "it's".into()), ("empty".into(), String::new())]);
        assert!(!forms[1].post);
        assert_eq!(forms[1].action, page);
        assert_eq!(forms[1].fields, [("q".into(), "z".into())]);
    }

    #[test]
    fn broken_html_ends() {
        let page = Url::parse("http://127.0.0.1:1/").unwrap();
        for html in ["<", "<form", "<form action=", "<form action=\"x", "<a href='", "<form \"><input name=a>", "&"] {
            let _ = forms(&page, html);
            let _ = links(&page, html);
        }
    }
}
