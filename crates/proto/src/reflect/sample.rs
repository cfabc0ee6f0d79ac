//! Messages of any type, made from a string of random bytes; when the bytes run out, what is left stays
//! as empty as it may be, so that a failing case shrinks to a small one.
use super::{Field, Kind, Label, Place, Record};

/// Random choices.
pub(crate) struct Draw<'a> {
    bytes: &'a [u8],
}

const TEXTS: [&str; 8] = [
    "",
    "a",
    "cpus",
    "agent-S0",
    "\"\\/\n\r\t\u{8}\u{c}\u{1}",
    "é ☃ 😀",
    "null",
    "1.5",
];
const INTEGERS: [u64; 8] = [
    0,
    1,
    5051,
    1_795_205_395_714_652_160,
    u32::MAX as u64,
    1 << 53,
    i64::MAX as u64,
    u64::MAX,
];
const DOUBLES: [f64; 12] = [
    0.0,
    -0.0,
    1.0,
    0.1,
    -2.5,
    1_795_205_403.002_233_8,
    1e20,
    1e21,
    1.5e-9,
    f64::MAX,
    5e-324,
    f64::INFINITY,
];

/// Messages inside messages.
const DEPTH: usize = 6;

impl<'a> Draw<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `bound`, at most 256; 0 when the bytes have run out.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(*first) % bound
    }

    /// Fills an empty message: what is required always, the rest at random.
    pub(crate) fn fill(&mut self, record: &mut dyn Record) {
        self.fill_at(record, 1);
    }

    fn fill_at(&mut self, record: &mut dyn Record, depth: usize) {
        for (slot, field) in record.table().fields.iter().enumerate() {
            let inner = matches!(field.kind, Kind::Message(_) | Kind::Map(_));
            let wanted = field.label == Label::Required
                || (self.below(3) == 1 && !(inner && depth >= DEPTH));
            if wanted {
                self.fill_field(field, record.place(slot), depth);
            }
        }
    }

    fn fill_field(&mut self, field: &Field, place: Place<'_>, depth: usize) {
        match place {
            Place::Maybe(maybe) => self.fill_value(&field.kind, maybe.set(), depth),
            Place::List(list) => {
                for _ in 0..=self.below(3) {
                    self.fill_value(&field.kind, list.push(), depth);
                }
            }
            Place::Map(map) => {
                let Kind::Map(value) = field.kind else {
                    panic!("a map that the table does not know")
                };
                for _ in 0..=self.below(3) {
                    let key = TEXTS[self.below(TEXTS.len())];
                    self.fill_value(value, map.insert(key), depth);
                }
            }
            place => self.fill_value(&field.kind, place, depth),
        }
    }

    fn fill_value(&mut self, kind: &Kind, place: Place<'_>, depth: usize) {
        let integer = INTEGERS[self.below(INTEGERS.len())];
        match (kind, place) {
            (Kind::Enum(table), Place::I32(place)) => {
                *place = table.by_number[self.below(table.by_number.len())].0
            }
            (_, Place::Bool(place)) => *place = integer != 0,
            (_, Place::I32(place)) => *place = integer as i32,
            (_, Place::I64(place)) => *place = integer as i64,
            (_, Place::U32(place)) => *place = integer as u32,
            (_, Place::U64(place)) => *place = integer,
            (_, Place::F64(place)) => *place = DOUBLES[self.below(DOUBLES.len())],
            (_, Place::Str(place)) => *place = TEXTS[self.below(TEXTS.len())].to_owned(),
            (_, Place::Bytes(place)) => {
                *place = integer.to_be_bytes()[..self.below(9)].to_vec().into()
            }
            (_, Place::Message(inner)) => self.fill_at(inner, depth + 1),
            (_, Place::Maybe(_) | Place::List(_) | Place::Map(_)) => {
                panic!("one value is none of these")
            }
        }
    }
}
