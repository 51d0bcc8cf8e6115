//! The page at `/docs`, made from the OpenAPI document: nothing on it comes from anywhere else.

use std::fmt::{self, Write};

use serde_json::Value;
use utoipa::openapi::OpenApi;

/// The page, as HTML without scripts. Its style sheet is at `/docs/style.css`.
pub(crate) fn page(document: &OpenApi) -> String {
    let document = serde_json::to_value(document).unwrap_or_default();
    let mut html = String::new();
    // Writing to a string cannot fail.
    let _ = Page { document: &document }.write(&mut html);
    html
}

struct Page<'a> {
    document: &'a Value,
}

/// One operation, and where it is.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    described: &'a Value,
}

/// One line of a table of fields.
struct Field<'a> {
    name: String,
    required: bool,
    schema: &'a Value,
    /// What is said where the field stands; it goes before what is said of its type.
    description: Option<&'a str>,
}

impl<'a> Page<'a> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let info = &self.document["info"];
        let title = format!("{} {}", text(info, "title"), text(info, "version"));
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title} API</title>\n<link rel=\"stylesheet\" href=\"/docs/style.css\">\n</head>\n<body>\n\
             <header>\n<h1>{title} API</h1>\n{}\
             <p>For programs: <a href=\"/openapi.json\">openapi.json</a></p>\n</header>\n",
            Prose(text(info, "description")),
            title = Escaped(&title),
        )?;
        self.write_contents(out)?;
        out.push_str("<main>\n");
        for tag in list(&self.document["tags"]) {
            let name = text(tag, "name");
            write!(out, "<section>\n<h2>{}</h2>\n{}", Escaped(name), Prose(text(tag, "description")))?;
            for operation in self.operations(name) {
                self.write_operation(out, &operation)?;
            }
            out.push_str("</section>\n");
        }
        self.write_errors(out)?;
        out.push_str("</main>\n</body>\n</html>\n");
        Ok(())
    }

    fn operations(&self, tag: &str) -> impl Iterator<Item = Operation<'a>> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        let all = paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, described)| Operation { method, path, described })
        });
        all.filter(move |operation| list(&operation.described["tags"]).iter().any(|of| of == tag))
    }

    fn write_contents(&self, out: &mut String) -> fmt::Result {
        out.push_str("<nav aria-label=\"Operations\">\n<ul>\n");
        for tag in list(&self.document["tags"]) {
            let name = text(tag, "name");
            write!(out, "<li>{}\n<ul>\n", Escaped(name))?;
            for Operation { described, .. } in self.operations(name) {
                let (id, summary) = (text(described, "operationId"), text(described, "summary"));
                writeln!(out, "<li><a href=\"#{}\">{}</a></li>", Escaped(id), Escaped(summary))?;
            }
            out.push_str("</ul>\n</li>\n");
        }
        out.push_str("<li><a href=\"#errors\">Errors</a></li>\n</ul>\n</nav>\n");
        Ok(())
    }

    fn write_operation(&self, out: &mut String, operation: &Operation<'_>) -> fmt::Result {
        let Operation { method, path, described } = operation;
        write!(
            out,
            "<article id=\"{}\">\n<h3>{}</h3>\n<p class=\"call\"><b>{}</b> <code>{}</code></p>\n{}{}",
            Escaped(text(described, "operationId")),
            Escaped(text(described, "summary")),
            method.to_uppercase(),
            Escaped(path),
            Prose(text(described, "description")),
            Roles(described),
        )?;
        let parameters: Vec<_> = list(&described["parameters"]).iter().map(parameter).collect();
        write_fields(out, "Parameters", &parameters)?;
        write_fields(out, "Request", &self.fields(&described["requestBody"]))?;
        let responses = described["responses"].as_object().into_iter().flatten();
        let (done, refused): (Vec<_>, Vec<_>) = responses.partition(|(status, _)| status.starts_with('2'));
        for (status, response) in done {
            write_fields(out, &format!("Answer {status}"), &self.fields(response))?;
        }
        if !refused.is_empty() {
            out.push_str("<h4>Errors</h4>\n<dl>\n");
            for (status, response) in refused {
                writeln!(out, "<dt>{status}</dt><dd>{}</dd>", Prose(text(response, "description")))?;
            }
            out.push_str("</dl>\n");
        }
        out.push_str("</article>\n");
        Ok(())
    }

    fn write_errors(&self, out: &mut String) -> fmt::Result {
        let schemas = &self.document["components"]["schemas"];
        let mut fields = Vec::new();
        self.collect(&schemas["Error"], "", &mut fields);
        write!(out, "<section id=\"errors\">\n<h2>Errors</h2>\n{}", Prose(text(&schemas["Error"], "description")))?;
        write_fields(out, "Fields", &fields)?;
        write!(out, "<h4>Codes</h4>\n{}</section>\n", Prose(text(&schemas["ErrorCode"], "description")))
    }

    /// The fields of a body's JSON, those inside others by their whole names.
    fn fields(&self, body: &'a Value) -> Vec<Field<'a>> {
        let mut fields = Vec::new();
        self.collect(&body["content"]["application/json"]["schema"], "", &mut fields);
        fields
    }

    fn collect(&self, schema: &'a Value, prefix: &str, fields: &mut Vec<Field<'a>>) {
        let schema = self.resolved(schema);
        for part in list(&schema["allOf"]) {
            self.collect(part, prefix, fields);
        }
        let required = list(&schema["required"]);
        for (name, stated) in schema["properties"].as_object().into_iter().flatten() {
            let resolved = self.resolved(stated);
            fields.push(Field {
                name: format!("{prefix}{name}"),
                required: required.iter().any(|of| of == name),
                schema: resolved,
                description: stated["description"].as_str(),
            });
            self.collect(resolved, &format!("{prefix}{name}."), fields);
            self.collect(&resolved["items"], &format!("{prefix}{name}[]."), fields);
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        pointer.and_then(|pointer| self.document.pointer(pointer)).unwrap_or(schema)
    }
}

fn parameter(parameter: &Value) -> Field<'_> {
    Field {
        name: text(parameter, "name").to_owned(),
        required: parameter["required"] == true,
        schema: &parameter["schema"],
        description: parameter["description"].as_str(),
    }
}

fn write_fields(out: &mut String, heading: &str, fields: &[Field<'_>]) -> fmt::Result {
    if fields.is_empty() {
        return Ok(());
    }
    write!(out, "<h4>{}</h4>\n<table>\n<tr><th>Name</th><th>Type</th><th>Meaning</th></tr>\n", Escaped(heading))?;
    for field in fields {
        let description = field.description.unwrap_or_else(|| {
            // The list of codes stands once, at the end.
            text(field.schema, "description").split("\n\n").next().unwrap_or_default()
        });
        writeln!(
            out,
            "<tr><td><code>{}</code></td><td>{}{}</td><td>{}</td></tr>",
            Escaped(&field.name),
            Type(field.schema),
            if field.required { "" } else { ", optional" },
            Prose(description),
        )?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Text, with what HTML would take for its own written out.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            other => f.write_char(other),
        })
    }
}

/// Paragraphs, lists and code of Markdown; the document has no more of it.
struct Prose<'a>(&'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for paragraph in self.0.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
            if let Some(items) = paragraph.strip_prefix("- ") {
                f.write_str("<ul>\n")?;
                items.split("\n- ").try_for_each(|item| writeln!(f, "<li>{}</li>", Inline(item)))?;
                f.write_str("</ul>\n")?;
            } else {
                writeln!(f, "<p>{}</p>", Inline(paragraph))?;
            }
        }
        Ok(())
    }
}

struct Inline<'a>(&'a str);

impl fmt::Display for Inline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.split('`').enumerate().try_for_each(|(index, part)| {
            if index % 2 == 1 { write!(f, "<code>{}</code>", Escaped(part)) } else { write!(f, "{}", Escaped(part)) }
        })
    }
}

/// A schema's type, as `string (date-time) or null`.
struct Type<'a>(&'a Value);

impl fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = std::slice::from_ref(&self.0["type"]);
        let types = self.0["type"].as_array().map_or(one, Vec::as_slice);
        for (index, name) in types.iter().filter_map(Value::as_str).enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { " or " }, Escaped(name))?;
            if let (0, Some(format)) = (index, self.0["format"].as_str()) {
                write!(f, " ({})", Escaped(format))?;
            }
        }
        Ok(())
    }
}

/// Who may use an operation.
struct Roles<'a>(&'a Value);

impl fmt::Display for Roles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles = list(&self.0["security"]).iter().flat_map(|scheme| list(&scheme["token"]));
        let roles: Vec<_> = roles.filter_map(Value::as_str).collect();
        let roles = if roles.is_empty() { "everybody, without a token".to_owned() } else { roles.join(", ") };
        writeln!(f, "<p class=\"roles\">For: {}</p>", Escaped(&roles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_html() {
        assert_eq!(Prose("a `<b>` & \"c\"").to_string(), "<p>a <code>&lt;b&gt;</code> &amp; &quot;c&quot;</p>\n");
    }

    #[test]
    fn paragraphs_and_lists_are_told_apart() {
        assert_eq!(
            Prose("one\n\n- two\n- three").to_string(),
            "<p>one</p>\n<ul>\n<li>two</li>\n<li>three</li>\n</ul>\n"
        );
    }

    #[test]
    fn a_type_says_what_else_it_may_be() {
        let schema = serde_json::json!({"type": ["string", "null"], "format": "date-time"});
        assert_eq!(Type(&schema).to_string(), "string (date-time) or null");
    }
}
