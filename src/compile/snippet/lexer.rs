//! nginx's configuration syntax: words, blocks and comments, as ngx_conf_read_token reads them.

use std::iter::Peekable;
use std::str::Chars;

/// Blocks within blocks; nginx's own contexts go no deeper than this.
const MAX_DEPTH: usize = 4;
/// Directives of one snippet, those of its blocks included.
const MAX_DIRECTIVES: usize = 256;
/// Bytes of one snippet.
const MAX_BYTES: usize = 64 * 1024;

/// One directive with the line it begins on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    pub line: usize,
    /// The name, then the arguments, without their quotes.
    pub words: Vec<String>,
    /// What is between its braces.
    pub block: Option<Vec<Directive>>,
}

impl Directive {
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

struct Lexer<'t> {
    chars: Peekable<Chars<'t>>,
    line: usize,
    directives: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    End,
    Open,
    Close,
}

/// Reads a snippet. Errors name the line.
pub fn read(text: &str) -> Result<Vec<Directive>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let mut lexer = Lexer { chars: text.chars().peekable(), line: 1, directives: 0 };
    lexer.block(0)
}

impl Lexer<'_> {
    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, String> {
        let mut list = Vec::new();
        let (mut words, mut line) = (Vec::new(), self.line);
        loop {
            let Some(token) = self.token()? else {
                return match (depth, words.first()) {
                    (0, None) => Ok(list),
                    (_, Some(word)) => Err(format!("line {line}: {word} has no ; at its end")),
                    (_, None) => Err(format!("line {}: a }} is missing", self.line)),
                };
            };
            match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(word);
                    continue;
                }
                Token::Close if depth > 0 && words.is_empty() => return Ok(list),
                Token::Close => return Err(format!("line {}: a }} that ends nothing", self.line)),
                Token::End | Token::Open if words.is_empty() => {
                    return Err(format!("line {}: a directive has no name", self.line));
                }
                Token::End => list.push(Directive { line, words: std::mem::take(&mut words), block: None }),
                Token::Open if depth >= MAX_DEPTH => return Err(format!("line {line}: blocks are nested too deep")),
                Token::Open => {
                    let block = Some(self.block(depth + 1)?);
                    list.push(Directive { line, words: std::mem::take(&mut words), block });
                }
            }
            self.directives += 1;
            if self.directives > MAX_DIRECTIVES {
                return Err(format!("line {line}: it has more than {MAX_DIRECTIVES} directives"));
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn token(&mut self) -> Result<Option<Token>, String> {
        loop {
            match self.next() {
                None => return Ok(None),
                Some(c) if c.is_ascii_whitespace() => {}
                Some('#') => while self.next().is_some_and(|c| c != '\n') {},
                Some(';') => return Ok(Some(Token::End)),
                Some('{') => return Ok(Some(Token::Open)),
                Some('}') => return Ok(Some(Token::Close)),
                Some(quote @ ('"' | '\'')) => return self.quoted(quote).map(|word| Some(Token::Word(word))),
                Some(first) => return Ok(Some(Token::Word(self.word(first)))),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let (mut word, line) = (String::new(), self.line);
        loop {
            match self.next() {
                None => return Err(format!("line {line}: a quote is not closed")),
                Some('\\') => self.escaped(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
        }
        match self.chars.peek() {
            None | Some(';' | '{' | ')') => Ok(word),
            Some(c) if c.is_ascii_whitespace() => Ok(word),
            Some(c) => Err(format!("line {}: {c:?} follows a quote", self.line)),
        }
    }

    /// What follows a backslash: only these lose it.
    fn escaped(&mut self, word: &mut String) {
        match self.next() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            other => word.extend(std::iter::once('\\').chain(other)),
        }
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut last = first;
        match first {
            '\\' => self.escaped(&mut word),
            first => word.push(first),
        }
        while let Some(&c) = self.chars.peek() {
            // The brace of `${name}` begins no block.
            if c.is_ascii_whitespace() || c == ';' || (c == '{' && last != '$') {
                break;
            }
            self.next();
            last = c;
            match c {
                '\\' => self.escaped(&mut word),
                c => word.push(c),
            }
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(list: &[Directive]) -> String {
        let one = |d: &Directive| {
            let block = d.block.as_ref().map(|b| format!("{{{}}}", show(b))).unwrap_or_default();
            format!("{}:{}{block}", d.line, d.words.join("|"))
        };
        list.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn snippets() {
        let rows = [
            ("", Ok("")),
            ("# nothing; at all\n", Ok("")),
            ("add_header X \"a; b\" always;", Ok("1:add_header|X|a; b|always")),
            ("set $a 'it\\'s';\nreturn 200 \"\\d\\n\";", Ok("1:set|$a|it's 2:return|200|\\d\n")),
            ("if ($a = b) {\n return 403;\n}", Ok("1:if|($a|=|b){2:return|403}")),
            ("return 301 https://${host}$uri;", Ok("1:return|301|https://${host}$uri")),
            ("rewrite ^/(a|b)$ /$1? break; # why", Ok("1:rewrite|^/(a|b)$|/$1?|break")),
            ("return", Err("line 1: return has no ; at its end")),
            ("if ($a) { return 1;", Err("line 1: a } is missing")),
            ("}", Err("line 1: a } that ends nothing")),
            ("\n;", Err("line 2: a directive has no name")),
            ("set $a \"b", Err("line 1: a quote is not closed")),
            ("set $a \"b\"c;", Err("line 1: 'c' follows a quote")),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text).map(|d| show(&d)), expected.map(str::to_owned).map_err(str::to_owned), "{text:?}");
        }
        assert!(read(&"a;".repeat(257)).is_err());
        assert!(read(&"a{".repeat(9)).is_err());
    }
}
