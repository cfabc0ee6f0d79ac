//! Reads keys, lengths and values off protobuf bytes.

/// How a value is laid out, by the numbers that keys carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    GroupStart = 3,
    GroupEnd = 4,
    Fixed32 = 5,
}

/// The bytes not yet read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// What is wrong with the bytes.
pub(super) type Fault = &'static str;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn key(&mut self) -> Result<(u32, Layout), Fault> {
        let key = u32::try_from(self.varint()?).map_err(|_| "field number out of range")?;
        let layout = match key & 7 {
            0 => Layout::Varint,
            1 => Layout::Fixed64,
            2 => Layout::Length,
            3 => Layout::GroupStart,
            4 => Layout::GroupEnd,
            5 => Layout::Fixed32,
            _ => return Err("unknown wire type"),
        };
        match key >> 3 {
            0 => Err("field number 0"),
            number => Ok((number, layout)),
        }
    }

    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && *byte > 1 {
                return Err("number of more than 64 bits");
            }
            value |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err("truncated number")
    }

    pub(super) fn length_delimited(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len) => self.take(len),
            Err(_) => Err("truncated value"),
        }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("truncated value")?;
        self.rest = rest;
        Ok(taken)
    }

    /// Skips the value of field `number`, with groups inside groups up to `depth`.
    pub(super) fn skip(&mut self, number: u32, layout: Layout, depth: usize) -> Result<(), Fault> {
        match layout {
            Layout::Varint => self.varint().map(drop),
            Layout::Fixed64 => self.take(8).map(drop),
            Layout::Length => self.length_delimited().map(drop),
            Layout::Fixed32 => self.take(4).map(drop),
            Layout::GroupEnd => Err("end of a group that was not begun"),
            Layout::GroupStart => self.skip_group(number, depth),
        }
    }

    fn skip_group(&mut self, number: u32, depth: usize) -> Result<(), Fault> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err("groups too deep");
        };
        loop {
            match self.key()? {
                (end, Layout::GroupEnd) if end == number => return Ok(()),
                (inner, layout) => self.skip(inner, layout, depth)?,
            }
        }
    }
}
