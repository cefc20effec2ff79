//! The report as a program reads it: as the schema says, and as SARIF.

use crate::agents::{HANDLE, agent, internal, plain, profile, with_section};
use attache::vet::{RULES, Report, SCHEMA, sarif, vet};
use serde_json::{Value, json};

/// As much of JSON Schema as `report.schema.json` uses; a word that is not known here fails.
fn check(schema: &Value, root: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(schema) = schema.as_object() else { return Err(format!("{at}: the schema is no object")) };
    for (word, rule) in schema {
        let holds = match word.as_str() {
            "$schema" | "$id" | "title" | "description" | "$defs" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().trim_start_matches("#/$defs/");
                check(&root["$defs"][name], root, value, at)?;
                true
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("the type {other}"),
                };
                rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is))
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => {
                assert_eq!(rule, "^sha256:[0-9a-f]{64}$");
                value.as_str().is_none_or(|v| {
                    v.strip_prefix("sha256:").is_some_and(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit()))
                })
            }
            "required" => match value.as_object() {
                Some(object) => rule.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap())),
                None => true,
            },
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = rule.get(name) {
                        check(schema, root, inner, &format!("{at}.{name}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, false);
                let known = schema["properties"].as_object().unwrap();
                value.as_object().is_none_or(|object| object.keys().all(|name| known.contains_key(name)))
            }
            "items" => {
                for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, root, inner, &format!("{at}[{index}]"))?;
                }
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|schema| check(schema, root, value, at).is_ok()),
            other => panic!("the schema uses `{other}`"),
        };
        if !holds {
            return Err(format!("{at}: `{word}` does not hold"));
        }
    }
    Ok(())
}

/// One of each kind.
fn reports() -> Vec<Report> {
    let rich = agent(
        r#"(import "attache:identity/identity@0.1.0" (instance (export "claim" (func (param "name" string) (result (option string))))))
           (import "wasi:sockets/tcp@0.2.0" (instance))"#,
        "",
        &format!("(memory 1) (data (i32.const 0) \"https://api.example.com/ /home/mallory/x\") {HANDLE}"),
        "",
    );
    let rich =
        with_section(rich, "attache:manifest", br#"{"providers":[{"name":"g","scopes":["a"],"flow":"on-behalf-of"}]}"#);
    vec![internal(&plain()), internal(b"nothing"), vet("a file.wasm", &rich, Some(&plain()), &profile("marketplace"))]
}

#[test]
fn reports_are_as_the_published_schema_says() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for report in reports() {
        let value = serde_json::to_value(&report).unwrap();
        check(&schema, &schema, &value, "report").unwrap_or_else(|error| panic!("{error}\n{value:#}"));
    }
    // The check notices: a word that is missing, one too many, and one of another kind.
    let whole = serde_json::to_value(&reports()[2]).unwrap();
    let breaks = |change: &dyn Fn(&mut Value)| {
        let mut value = whole.clone();
        change(&mut value);
        assert!(check(&schema, &schema, &value, "report").is_err());
    };
    breaks(&|value| drop(value.as_object_mut().unwrap().remove("verdict")));
    breaks(&|value| value["colour"] = json!("red"));
    breaks(&|value| value["findings"][0]["severity"] = json!("loud"));
    breaks(&|value| value["imports"][0]["class"] = json!("nice"));
}

#[test]
fn sarif_names_rules_that_it_defines_and_places_in_the_file() {
    for report in reports() {
        let log = sarif(&report);
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), RULES.len());
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), report.findings.len());
        for result in results {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(["error", "warning", "note", "none"].contains(&result["level"].as_str().unwrap()));
            let location = &result["locations"][0]["physicalLocation"];
            assert!(location["region"]["byteOffset"].as_u64().unwrap() < report.size.max(1) as u64);
            let uri = location["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!uri.contains(' '), "{uri}");
        }
        let read = report.facts.is_some();
        assert_eq!(run["invocations"][0]["executionSuccessful"], read);
    }
}

#[test]
fn a_rule_has_one_id_and_says_what_to_do() {
    for (at, rule) in RULES.iter().enumerate() {
        assert!(RULES[..at].iter().all(|other| other.id != rule.id), "{}", rule.id);
        assert!(!rule.advice.is_empty() && !rule.title.is_empty());
    }
}
