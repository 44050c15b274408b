//! The tags of HTML and of PHP taken out of a text that comes in pieces: what `fgetss` did until
//! PHP 8.0, with all of its state kept from line to line.
//!
//! Whatever the pieces, the result is that of PHP's `strip_tags` on the whole text; a test
//! compares the two.

/// Where in a text the last byte was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Outside of tags.
    #[default]
    Text,
    /// In an HTML tag.
    Tag,
    /// In `<?`, which counts brackets and quotes.
    Code,
    /// In `<!`.
    Declaration,
    /// In `<!--`.
    Comment,
}

/// Takes tags out of a text.
#[derive(Debug, Default)]
pub(crate) struct TagStripper {
    place: Place,
    /// The quote that is open.
    quote: Option<u8>,
    /// Further `<` within a tag, each of which takes a `>`.
    depth: u32,
    brackets: i32,
    /// The last quote or bracket of code.
    significant: u8,
    is_xml: bool,
    /// The tag so far, where some are kept.
    tag: Vec<u8>,
    /// The bytes before this one, the nearest first, and how many there were.
    before: [u8; 6],
    position: usize,
    /// A `<` at the end of a piece: the next byte tells whether it begins a tag.
    held: bool,
}

impl TagStripper {
    /// `at_start`: whether the first piece begins the text, where PHP takes `<?xml` for code.
    pub(crate) fn new(at_start: bool) -> Self {
        Self {
            position: if at_start { 0 } else { usize::from(u8::MAX) },
            ..Self::default()
        }
    }

    /// Appends to `kept` what is left of the next piece. `allowed` are tags to keep, as in
    /// `<a><b>`, in lower case.
    pub(crate) fn strip(&mut self, piece: &[u8], allowed: &[u8], kept: &mut Vec<u8>) {
        let mut bytes = piece.iter().copied().peekable();
        if self.held {
            let Some(next) = bytes.peek().copied() else {
                return;
            };
            self.held = false;
            self.take(b'<', next, allowed, kept);
        }
        while let Some(byte) = bytes.next() {
            match bytes.peek() {
                Some(next) => self.take(byte, *next, allowed, kept),
                None if byte == b'<' => self.held = true,
                None => self.take(byte, 0, allowed, kept),
            }
        }
    }

    /// Whether it has nothing to remember.
    pub(crate) fn is_idle(&self) -> bool {
        self.place == Place::Text
            && self.quote.is_none()
            && self.depth == 0
            && !self.is_xml
            && !self.held
    }

    fn take(&mut self, byte: u8, next: u8, allowed: &[u8], kept: &mut Vec<u8>) {
        match self.place {
            Place::Text => self.text(byte, next, allowed, kept),
            Place::Tag => self.tag(byte, next, allowed, kept),
            Place::Code => self.code(byte),
            Place::Declaration => self.declaration(byte),
            Place::Comment => self.comment(byte),
        }
        self.before.rotate_right(1);
        self.before[0] = byte;
        self.position += 1;
    }

    fn text(&mut self, byte: u8, next: u8, allowed: &[u8], kept: &mut Vec<u8>) {
        match byte {
            0 => {}
            b'<' if self.quote.is_some() => {}
            b'<' if is_space(next) => kept.push(byte),
            b'<' => {
                self.significant = b'<';
                self.place = Place::Tag;
                self.remember(byte, allowed);
            }
            b'>' if self.depth > 0 => self.depth -= 1,
            b'>' if self.quote.is_some() => {}
            _ => kept.push(byte),
        }
    }

    fn tag(&mut self, byte: u8, next: u8, allowed: &[u8], kept: &mut Vec<u8>) {
        match byte {
            0 => {}
            b'<' if self.quote.is_some() => {}
            b'<' if is_space(next) => self.remember(byte, allowed),
            b'<' => self.depth += 1,
            b'>' if self.depth > 0 => self.depth -= 1,
            b'>' if self.quote.is_some() => {}
            b'>' => self.tag_ends(allowed, kept),
            b'"' | b'\'' => {
                if self.position > 0 {
                    self.toggle(byte);
                }
                self.remember(byte, allowed);
            }
            b'!' if self.follows(b"<") => {
                self.place = Place::Declaration;
                self.significant = byte;
            }
            b'?' if self.follows(b"<") => {
                self.place = Place::Code;
                self.brackets = 0;
            }
            _ => self.remember(byte, allowed),
        }
    }

    fn tag_ends(&mut self, allowed: &[u8], kept: &mut Vec<u8>) {
        self.significant = b'>';
        if self.is_xml && self.follows(b"-") {
            return;
        }
        self.is_xml = false;
        self.remember(b'>', allowed);
        if is_allowed(&self.tag, allowed) {
            kept.extend_from_slice(&self.tag);
        }
        self.leave();
    }

    fn code(&mut self, byte: u8) {
        let in_string = matches!(self.significant, b'"' | b'\'');
        match byte {
            b'(' if !in_string => {
                self.significant = byte;
                self.brackets += 1;
            }
            b')' if !in_string => {
                self.significant = byte;
                self.brackets -= 1;
            }
            b'>' if self.depth > 0 => self.depth -= 1,
            b'>' if self.quote.is_some() => {}
            b'>' if self.brackets == 0 && self.significant != b'"' && self.follows(b"?") => {
                self.leave();
            }
            b'"' | b'\'' if self.position > 0 && self.before[0] != b'\\' => {
                if self.significant == byte {
                    self.significant = 0;
                } else if self.significant != b'\\' {
                    self.significant = byte;
                }
                self.toggle(byte);
            }
            b'l' | b'L' if self.position > 4 && self.follows(b"<?xm") => {
                self.place = Place::Tag;
                self.is_xml = true;
            }
            _ => {}
        }
    }

    fn declaration(&mut self, byte: u8) {
        match byte {
            b'>' if self.depth > 0 => self.depth -= 1,
            b'>' if self.quote.is_some() => {}
            b'>' => self.leave(),
            b'"' | b'\'' if self.position > 0 && self.before[0] != b'\\' => self.toggle(byte),
            b'-' if self.follows(b"!-") => self.place = Place::Comment,
            b'e' | b'E' if self.position > 6 && self.follows(b"doctyp") => {
                self.place = Place::Tag;
            }
            _ => {}
        }
    }

    fn comment(&mut self, byte: u8) {
        if byte == b'>' && self.quote.is_none() && self.follows(b"--") {
            self.leave();
        }
    }

    fn leave(&mut self) {
        self.place = Place::Text;
        self.quote = None;
        self.tag.clear();
    }

    fn toggle(&mut self, quote: u8) {
        match self.quote {
            None => self.quote = Some(quote),
            Some(open) if open == quote => self.quote = None,
            Some(_) => {}
        }
    }

    fn remember(&mut self, byte: u8, allowed: &[u8]) {
        if !allowed.is_empty() {
            self.tag.push(byte);
        }
    }

    /// Whether these bytes, in lower case, stand right before this one.
    fn follows(&self, bytes: &[u8]) -> bool {
        self.position >= bytes.len()
            && bytes
                .iter()
                .rev()
                .zip(&self.before)
                .all(|(expected, byte)| byte.eq_ignore_ascii_case(expected))
    }
}

/// Whether `<A HREF=x>` or `</a>` is among the allowed as `<a>`.
fn is_allowed(tag: &[u8], allowed: &[u8]) -> bool {
    let mut name = Vec::with_capacity(tag.len());
    let mut begun = false;
    for (index, byte) in tag.iter().map(u8::to_ascii_lowercase).enumerate() {
        let (previous, next) = (index.checked_sub(1).map(|at| tag[at]), tag.get(index + 1));
        match byte {
            b'<' => name.push(byte),
            b'>' => break,
            _ if is_space(byte) && begun => break,
            _ if is_space(byte) => {}
            b'/' if previous == Some(b'<') || next == Some(&b'>') => begun = true,
            _ => {
                begun = true;
                name.push(byte);
            }
        }
    }
    name.push(b'>');
    !tag.is_empty() && allowed.windows(name.len()).any(|window| window == name)
}

/// C's isspace(3) in its own locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
