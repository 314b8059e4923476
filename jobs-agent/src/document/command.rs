//! The comma-separated form of a command.

/// Why a command cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandFault {
    /// No word at all, or an empty first one.
    #[error("names no program")]
    Empty,
    /// A blank in the first word: a whole command line was put where its words are wanted.
    #[error("has a blank in its first word: separate the words by commas")]
    Blank,
    /// A NUL, which no argument of a program can hold.
    #[error("has a NUL character")]
    Nul,
}

/// Splits a command at its commas; `\,` stands for a comma. Each word is trimmed.
///
/// ```
/// use jobs_agent::document::split_command;
/// assert_eq!(split_command(r"echo, Hello\, world").unwrap(), ["echo", "Hello, world"]);
/// ```
///
/// # Errors
/// [`CommandFault`]
pub fn split_command(text: &str) -> Result<Vec<String>, CommandFault> {
    if text.contains('\0') {
        return Err(CommandFault::Nul);
    }
    let mut words = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' if chars.peek() == Some(&',') => {
                chars.next();
                push(&mut words, ',');
            }
            ',' => words.push(String::new()),
            other => push(&mut words, other),
        }
    }
    for word in &mut words {
        *word = word
            .trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
            .to_owned();
    }
    match words.first().map(String::as_str) {
        None | Some("") => Err(CommandFault::Empty),
        Some(first) if first.contains(char::is_whitespace) => Err(CommandFault::Blank),
        Some(_) => Ok(words),
    }
}

fn push(words: &mut [String], char: char) {
    if let Some(word) = words.last_mut() {
        word.push(char);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_and_trimmed_and_escapes_are_undone() {
        for (text, words) in [
            ("true", vec!["true"]),
            ("echo,Hello World!", vec!["echo", "Hello World!"]),
            (r"echo,Hello\, I am", vec!["echo", "Hello, I am"]),
            (" ls , -l ,\t/tmp ", vec!["ls", "-l", "/tmp"]),
            ("printf,,x", vec!["printf", "", "x"]),
            (r"echo,a\b\\,c", vec!["echo", r"a\b\,c"]),
        ] {
            assert_eq!(split_command(text).unwrap(), words, "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert_eq!(split_command(""), Err(CommandFault::Empty));
        assert_eq!(split_command(" ,x"), Err(CommandFault::Empty));
        assert_eq!(split_command("rm -rf,/"), Err(CommandFault::Blank));
        assert_eq!(split_command("echo,a\0b"), Err(CommandFault::Nul));
    }
}
