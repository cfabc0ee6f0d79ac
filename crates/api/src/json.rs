//! Writing JSON documents by hand: objects and lists at the end of a text, in the order written.

use meseta_proto::reflect::Record;

/// An object under way.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    out: &'a mut String,
    first: bool,
}

/// A list under way.
#[derive(Debug)]
pub(crate) struct List<'a> {
    out: &'a mut String,
    first: bool,
}

/// Appends an object.
pub(crate) fn object(out: &mut String, write: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    write(&mut Object {
        out: &mut *out,
        first: true,
    });
    out.push('}');
}

/// Appends a list.
pub(crate) fn list(out: &mut String, write: impl FnOnce(&mut List<'_>)) {
    out.push('[');
    write(&mut List {
        out: &mut *out,
        first: true,
    });
    out.push(']');
}

/// Appends a string with its quotes.
pub(crate) fn text(out: &mut String, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        // Text is always serializable.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// Appends a number as Mesos prints doubles.
pub(crate) fn number(out: &mut String, number: f64) {
    meseta_proto::json::append_double(out, number);
}

impl Object<'_> {
    /// Begins a field; its value is appended next.
    pub(crate) fn key(&mut self, name: &str) -> &mut String {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        text(self.out, name);
        self.out.push(':');
        self.out
    }

    /// Fields written elsewhere, `"a":1,"b":2`; nothing if there are none.
    pub(crate) fn fields(&mut self, fields: &str) {
        if fields.is_empty() {
            return;
        }
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        self.out.push_str(fields);
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) {
        text(self.key(name), value);
    }

    pub(crate) fn number(&mut self, name: &str, value: f64) {
        number(self.key(name), value);
    }

    pub(crate) fn integer(&mut self, name: &str, value: impl Into<i128>) {
        let value: i128 = value.into();
        self.key(name).push_str(&value.to_string());
    }

    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.key(name)
            .push_str(if value { "true" } else { "false" });
    }

    /// A message as the operator API shows it.
    pub(crate) fn message(&mut self, name: &str, value: &dyn Record) {
        meseta_proto::append_json(self.key(name), value);
    }

    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Object<'_>)) {
        object(self.key(name), write);
    }

    pub(crate) fn list(&mut self, name: &str, write: impl FnOnce(&mut List<'_>)) {
        list(self.key(name), write);
    }
}

impl List<'_> {
    /// Begins an element; it is appended next.
    pub(crate) fn next(&mut self) -> &mut String {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        self.out
    }

    pub(crate) fn text(&mut self, value: &str) {
        text(self.next(), value);
    }

    /// An element that is JSON already.
    pub(crate) fn raw(&mut self, value: &str) {
        self.next().push_str(value);
    }

    pub(crate) fn message(&mut self, value: &dyn Record) {
        meseta_proto::append_json(self.next(), value);
    }

    pub(crate) fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        object(self.next(), write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_out_in_the_order_written() {
        let mut out = String::new();
        object(&mut out, |o| {
            o.text("a", "x\"y\n");
            o.number("b", 1.0);
            o.integer("c", 2_u32);
            o.boolean("d", true);
            o.fields("");
            o.fields("\"e\":null");
            o.list("f", |l| {
                l.text("g");
                l.object(|o| o.object("h", |_| {}));
            });
        });
        assert_eq!(
            out,
            r#"{"a":"x\"y\n","b":1.0,"c":2,"d":true,"e":null,"f":["g",{"h":{}}]}"#
        );
    }
}
