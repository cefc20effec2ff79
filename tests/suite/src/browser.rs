//! A browser without a screen: a cookie jar, redirects followed one by one, forms filled in by name.
//!
//! As nasty as a real one where it matters: cookies are shared between ports of one address, `Secure` ones go to loopback,
//! `HttpOnly` and paths are kept.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use url::Url;

/// One person's browser.
#[derive(Default)]
pub struct Browser {
    cookies: Vec<Cookie>,
    /// Every URL that was asked for, in order.
    pub visited: Vec<String>,
}

struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// A page, after its redirects.
#[derive(Debug)]
pub struct Page {
    /// Where it is.
    pub url: Url,
    /// How it was answered.
    pub status: StatusCode,
    /// With which headers.
    pub headers: HeaderMap,
    /// What it says.
    pub text: String,
}

/// A form on a page.
#[derive(Debug, Clone)]
pub struct Form {
    /// Where it goes.
    pub action: Url,
    /// `get` or `post`.
    pub method: Method,
    /// Its fields with the values that they come with.
    pub fields: Vec<(String, String)>,
}

impl Browser {
    /// With an empty jar.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a URL and follows redirects, at most 20.
    pub async fn get(&mut self, url: &str) -> Result<Page> {
        self.go(Method::GET, Url::parse(url)?, None, None).await
    }

    /// As [`Browser::get`], but stops before it asks for a URL that starts with `stop`, and returns that URL's page as
    /// the redirect that named it: an app's page that nobody serves here.
    pub async fn get_until(&mut self, url: &str, stop: &str) -> Result<Page> {
        self.go(Method::GET, Url::parse(url)?, None, Some(stop)).await
    }

    /// Submits a form; `changes` set or add fields.
    pub async fn submit(&mut self, form: &Form, changes: &[(&str, &str)]) -> Result<Page> {
        self.submit_until(form, changes, None).await
    }

    /// As [`Browser::submit`], stopping as [`Browser::get_until`] does.
    pub async fn submit_until(&mut self, form: &Form, changes: &[(&str, &str)], stop: Option<&str>) -> Result<Page> {
        let mut fields = form.fields.clone();
        for (name, value) in changes {
            match fields.iter_mut().find(|(n, _)| n == name) {
                Some((_, v)) => *v = (*value).to_owned(),
                None => fields.push(((*name).to_owned(), (*value).to_owned())),
            }
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        if form.method == Method::GET {
            let mut url = form.action.clone();
            url.set_query(Some(&body));
            return self.go(Method::GET, url, None, stop).await;
        }
        self.go(form.method.clone(), form.action.clone(), Some(body), stop).await
    }

    /// The cookies that a host of this name would get for `/`, as `name=value`.
    pub fn cookies_of(&self, host: &str) -> Vec<String> {
        self.cookies.iter().filter(|c| c.host == host).map(|c| format!("{}={}", c.name, c.value)).collect()
    }

    async fn go(&mut self, mut method: Method, mut url: Url, mut body: Option<String>, stop: Option<&str>) -> Result<Page> {
        for _ in 0..20 {
            self.visited.push(url.to_string());
            let page = self.once(&method, &url, body.take()).await?;
            if !page.status.is_redirection() {
                return Ok(page);
            }
            let to = page.headers.get("location").context("a redirect without a location")?.to_str()?;
            let next = url.join(to)?;
            if stop.is_some_and(|s| next.as_str().starts_with(s)) {
                return Ok(Page { url: next, ..page });
            }
            if page.status != StatusCode::TEMPORARY_REDIRECT && page.status != StatusCode::PERMANENT_REDIRECT {
                method = Method::GET;
            }
            url = next;
        }
        bail!("more than 20 redirects, the last to `{url}`")
    }

    async fn once(&mut self, method: &Method, url: &Url, body: Option<String>) -> Result<Page> {
        let host = url.host_str().context("a host")?.to_owned();
        let port = url.port_or_known_default().context("a port")?;
        ensure!(host == "localhost" || host.starts_with("127."), "the browser stays on loopback; `{url}` is elsewhere");
        let stream = tokio::net::TcpStream::connect((host.as_str(), port)).await.with_context(|| format!("opening {url}"))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = http::Request::builder()
            .method(method.clone())
            .uri(target)
            .header("host", format!("{host}:{port}"))
            .header("accept", "text/html")
            .header("user-agent", "attache-tests");
        let jar: Vec<String> = self
            .cookies
            .iter()
            .filter(|c| c.host == host && path_matches(&c.path, url.path()))
            .map(|c| format!("{}={}", c.name, c.value))
            .collect();
        if !jar.is_empty() {
            request = request.header("cookie", jar.join("; "));
        }
        if body.is_some() {
            let origin = url.origin().ascii_serialization();
            request = request.header("content-type", "application/x-www-form-urlencoded").header("origin", origin);
        }
        let response = sender.send_request(request.body(Full::new(Bytes::from(body.unwrap_or_default())))?).await?;
        for header in response.headers().get_all("set-cookie") {
            self.remember(&host, url.path(), header.to_str()?);
        }
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok(Page {
            url: url.clone(),
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    fn remember(&mut self, host: &str, asked: &str, header: &str) {
        let mut parts = header.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let mut path = asked.rsplit_once('/').map_or("/", |(dir, _)| dir).to_owned();
        let mut gone = value.is_empty();
        for attribute in parts {
            let (key, text) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.to_ascii_lowercase().as_str() {
                "path" => path = text.to_owned(),
                "max-age" => gone |= text.parse::<i64>().is_ok_and(|age| age <= 0),
                "expires" => gone |= text.contains("1970"),
                _ => {}
            }
        }
        if path.is_empty() {
            path = "/".into();
        }
        self.cookies.retain(|c| !(c.host == host && c.name == name && c.path == path));
        if !gone {
            self.cookies.push(Cookie { host: host.into(), path, name: name.into(), value: value.into() });
        }
    }
}

fn path_matches(cookie: &str, asked: &str) -> bool {
    asked == cookie || asked.strip_prefix(cookie).is_some_and(|rest| cookie.ends_with('/') || rest.starts_with('/'))
}

impl Page {
    /// All forms on the page.
    pub fn forms(&self) -> Vec<Form> {
        let mut forms = Vec::new();
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find("<form") {
            let Some(end) = rest[at..].find("</form>") else { break };
            let html = &rest[at..at + end];
            let open = &html[..html.find('>').unwrap_or(html.len())];
            let action = attribute(open, "action").unwrap_or_default();
            let method = attribute(open, "method").map_or(Method::GET, |m| {
                if m.eq_ignore_ascii_case("post") { Method::POST } else { Method::GET }
            });
            let mut fields = Vec::new();
            for tag in ["<input", "<button"] {
                for (start, _) in html.match_indices(tag) {
                    let tag = &html[start..start + html[start..].find('>').unwrap_or(0)];
                    let button = tag.contains("type=\"submit\"") || tag.contains("type=submit") || tag.starts_with("<button");
                    if let (Some(name), false) = (attribute(tag, "name"), button) {
                        fields.push((name, attribute(tag, "value").unwrap_or_default()));
                    }
                }
            }
            if let Ok(action) = self.url.join(&action) {
                forms.push(Form { action, method, fields });
            }
            rest = &rest[at + end..];
        }
        forms
    }

    /// The form whose action contains `part`.
    pub fn form(&self, part: &str) -> Result<Form> {
        self.forms()
            .into_iter()
            .find(|form| form.action.as_str().contains(part))
            .with_context(|| format!("no form for `{part}` at {} ({}):\n{}", self.url, self.status, self.text))
    }

    /// The value of a query parameter of this page's URL.
    pub fn query(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    for quote in ['"', '\''] {
        let needle = format!(" {name}={quote}");
        if let Some(at) = tag.find(&needle) {
            let value = &tag[at + needle.len()..];
            return value.find(quote).map(|end| unescape(&value[..end]));
        }
    }
    None
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_with_their_hidden_fields() {
        let page = Page {
            url: Url::parse("http://127.0.0.1:1/a/b").unwrap(),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            text: r#"<form method="post" action="/consent/1?x=1&amp;y=2"><input type="hidden" name="csrf" value="a&quot;b"><button type="submit" name="go">Go</button></form>"#.into(),
        };
        let form = page.form("/consent/").unwrap();
        assert_eq!(form.action.as_str(), "http://127.0.0.1:1/consent/1?x=1&y=2");
        assert_eq!(form.method, Method::POST);
        assert_eq!(form.fields, [("csrf".to_owned(), "a\"b".to_owned())]);
        assert!(page.form("/elsewhere").is_err());
    }

    #[test]
    fn cookies_follow_their_path() {
        assert!(path_matches("/", "/x") && path_matches("/a", "/a/b") && path_matches("/a", "/a"));
        assert!(!path_matches("/a", "/ab"));
    }
}
