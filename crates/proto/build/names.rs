//! Spells names as prost-build does, so that the tables can refer to what it generates.
use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};

/// The Rust path of a message called `full` such as `mesos.v1.Offer.Operation`, seen from the module
/// that includes the tables: `mesos::v1::offer::Operation`.
pub fn rust_path(full: &str) -> String {
    if full == "google.protobuf.Duration" {
        return "::prost_types::Duration".to_owned();
    }
    let (outer, last) = full.rsplit_once('.').unwrap_or(("", full));
    let mut path: Vec<String> = outer
        .split('.')
        .map(|segment| escape(segment.to_snake_case()))
        .collect();
    path.push(escape(last.to_upper_camel_case()));
    path.join("::")
}

/// The Rust identifier of a field.
pub fn rust_field(name: &str) -> String {
    escape(name.to_snake_case())
}

/// The name of the static that holds a message's or an enum's table.
pub fn table(full: &str) -> String {
    full.replace('.', "_").to_shouty_snake_case()
}

fn escape(name: String) -> String {
    match name.as_str() {
        "as" | "break" | "const" | "continue" | "else" | "enum" | "extern" | "fn" | "for"
        | "if" | "impl" | "in" | "let" | "loop" | "match" | "mod" | "move" | "pub" | "ref"
        | "return" | "static" | "struct" | "trait" | "type" | "unsafe" | "use" | "where"
        | "while" | "async" | "await" | "dyn" | "abstract" | "become" | "box" | "do" | "final"
        | "macro" | "override" | "priv" | "typeof" | "unsized" | "virtual" | "yield" | "try" => {
            format!("r#{name}")
        }
        _ => name,
    }
}
