//! Bytes as choices: what a target makes its calls from. Every string of bytes means something, and
//! a byte changed changes one choice.

/// The rest of an input.
#[derive(Clone)]
pub(crate) struct Input<'d> {
    rest: &'d [u8],
}

impl<'d> Input<'d> {
    pub(crate) fn new(data: &'d [u8]) -> Self {
        Self { rest: data }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte; 0 when there is none.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *byte
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// Often small, sometimes at an edge, sometimes anything.
    pub(crate) fn int(&mut self) -> i64 {
        match self.below(4) {
            0 | 1 => i64::from(self.byte()),
            2 => self.pick(&[
                0,
                -1,
                1,
                i64::MAX,
                i64::MIN,
                i64::MAX - 1,
                1 << 53,
                10_080,
                10_081,
            ]),
            _ => self.u64().cast_signed(),
        }
    }

    pub(crate) fn option<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| value(self))
    }

    /// Bytes with their length in front (one byte), or as many as there are.
    pub(crate) fn short(&mut self) -> &'d [u8] {
        let len = usize::from(self.byte());
        self.take(len)
    }

    /// As `short`, with a length of two bytes.
    pub(crate) fn long(&mut self) -> &'d [u8] {
        let len = usize::from(self.u16()) % 4_096;
        self.take(len)
    }

    pub(crate) fn take(&mut self, len: usize) -> &'d [u8] {
        let (head, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        head
    }

    /// Text with its length in front; what is no UTF-8 is replaced.
    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.short()).into_owned()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'d [u8] {
        std::mem::take(&mut self.rest)
    }
}
