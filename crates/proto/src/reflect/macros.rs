//! What the generated tables are made of.

/// The table of an enum.
macro_rules! enumeration {
    ($table:ident, by_number $by_number:expr, by_name $by_name:expr) => {
        pub static $table: EnumTable = EnumTable {
            by_number: &$by_number,
            by_name: &$by_name,
        };
    };
}

/// The table of a message, and the message seen through it.
macro_rules! record {
    ($table:ident, $type:path, $full:literal, by_name $by_name:expr, by_number $by_number:expr,
     $($slot:literal $field:ident $name:literal $number:literal $label:ident ($kind:expr) ($default:expr) $empty:literal;)*
    ) => {
        pub static $table: Table = Table {
            name: $full,
            size: std::mem::size_of::<$type>(),
            fields: &[$(Field {
                key: concat!("\"", $name, "\":"),
                number: $number,
                label: Label::$label,
                kind: $kind,
                shown_default: $default,
                shown_empty: $empty,
            }),*],
            by_name: &$by_name,
            by_number: &$by_number,
            #[cfg(test)]
            new: || Box::new(<$type>::default()),
        };

        impl Record for $type {
            fn table(&self) -> &'static Table {
                &$table
            }

            fn value(&self, slot: usize) -> Value<'_> {
                match slot {
                    $($slot => Content::get(&self.$field),)*
                    _ => panic!("{} has no slot {slot}", $full),
                }
            }

            fn place(&mut self, slot: usize) -> Place<'_> {
                match slot {
                    $($slot => Content::place(&mut self.$field),)*
                    _ => panic!("{} has no slot {slot}", $full),
                }
            }

            $crate::reflect::macros::text_form! { $table }
        }

        impl Content for $type {
            fn get(&self) -> Value<'_> {
                Value::Message(self)
            }

            fn place(&mut self) -> Place<'_> {
                Place::Message(self)
            }
        }

        impl Wire for $type {
            const NAME: &'static str = $full;
            const TABLE: &'static Table = &$table;
        }
    };
}

/// The text form of those messages that have one.
macro_rules! text_form {
    (GOOGLE_PROTOBUF_DURATION) => {
        fn set_text(&mut self, text: &str) -> Option<()> {
            *self = crate::duration::parse(text)?;
            Some(())
        }
    };
    ($table:ident) => {};
}

pub(crate) use {enumeration, record, text_form};
