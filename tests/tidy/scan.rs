//! A Rust source reduced to what the rules ask about: its code without comments and strings, and the paths it uses.

/// One file under src.
pub struct Source {
    /// Its path under src, with slashes.
    pub name: String,
    pub text: String,
    /// The text with comments and literals blanked, line for line; a trailing `#[cfg(test)]` module is cut off.
    pub code: String,
    /// Every path the code names, from its first segment: `crate::base::size`, `std::fs::read`, `hyper::body`.
    pub paths: Vec<Vec<String>>,
}

impl Source {
    pub fn parse(name: &str, text: &str) -> Self {
        let code = without_tests(&blank(text));
        let paths = paths(&code).into_iter().map(|path| absolute(name, path)).collect();
        Self { name: name.to_owned(), text: text.to_owned(), code, paths }
    }

    /// The top-level module the file belongs to: `proxy` for `proxy/tls/sni.rs` as for `proxy.rs`.
    pub fn module(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether the whole file is tests: they may reach across modules.
    pub fn is_test(&self) -> bool {
        let stem = self.name.rsplit('/').next().unwrap_or_default();
        stem == "tests.rs" || stem.ends_with("_tests.rs") || stem.ends_with("_test.rs") || self.name.contains("/tests/")
    }

    /// The numbered code lines that contain a word, bounded on both sides by what is not part of a name.
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        let lines = self.code.lines().enumerate();
        lines.filter(|(_, line)| has_word(line, word)).map(|(n, _)| n + 1).collect()
    }
}

pub fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part_of_name);
        let last_is_name = word.ends_with(part_of_name);
        let after = last_is_name && line[at + word.len()..].chars().next().is_some_and(part_of_name);
        !before && !after
    })
}

/// Replaces comments, strings and character literals by spaces, keeping the line ends.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    if starts("//") {
        return find(chars, at, &['\n']);
    }
    if starts("/*") {
        return block_comment_end(chars, at);
    }
    let in_name = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if !in_name && let Some(end) = raw_string_end(chars, at) {
        return end;
    }
    match chars[at] {
        '"' => quoted_end(chars, at, '"'),
        // A lifetime has no closing quote one character (or one escape) later.
        '\'' if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => quoted_end(chars, at, '\''),
        _ => at,
    }
}

fn find(chars: &[char], from: usize, wanted: &[char]) -> usize {
    (from..chars.len()).find(|i| chars[*i..].starts_with(wanted)).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i < chars.len() {
        if chars[i..].starts_with(&['/', '*']) {
            (depth, i) = (depth + 1, i + 2);
        } else if chars[i..].starts_with(&['*', '/']) {
            (depth, i) = (depth - 1, i + 2);
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    i
}

/// `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`.
fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let mut i = at + usize::from(matches!(chars[at], 'b' | 'c'));
    if chars.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    if chars.get(i + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    Some((find(chars, i + hashes + 1, &close) + close.len()).min(chars.len()))
}

fn quoted_end(chars: &[char], at: usize, quote: char) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// Cuts off from the first `#[cfg(test)] mod … {`: by convention tests come last in a file.
fn without_tests(code: &str) -> String {
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(test)]").map(|at| from + at) {
        let item = code[at + "#[cfg(test)]".len()..].trim_start();
        let head = item.split(['{', ';']).next().unwrap_or_default();
        if has_word(head, "mod") && item[head.len()..].starts_with('{') {
            return code[..at].to_owned();
        }
        from = at + 1;
    }
    code.to_owned()
}

/// Every `a::b::c` in the code, with the braces of `use` spelled out.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at = use_tree(&tokens, at + 1, &[], &mut found);
        } else if is_name(&tokens[at]) && at > 0 && tokens[at - 1] == "::" {
            at += 1;
        } else {
            let path = plain_path(&tokens, at);
            at += path.len().max(1);
            if path.len() > 1 {
                found.push(path);
            }
        }
    }
    found
}

fn plain_path(tokens: &[String], at: usize) -> Vec<String> {
    let mut path = Vec::new();
    let mut i = at;
    while i < tokens.len() && is_name(&tokens[i]) {
        path.push(tokens[i].clone());
        if tokens.get(i + 1).is_none_or(|t| t != "::") {
            break;
        }
        i += 2;
    }
    path
}

/// Reads one tree of a `use`, giving each leaf as a whole path; returns the place after it.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = use_tree(tokens, at, &path, found);
                    at += usize::from(tokens.get(at).is_some_and(|t| t == ","));
                }
                return at + 1;
            }
            "as" => at += 2,
            name if is_name(name) || name == "*" => {
                path.push(name.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    // Not a path at all: `use<'a>` in a bound.
    if !path.is_empty() {
        found.push(path);
    }
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::`, and every other character by itself.
fn tokens(code: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            let mut name = String::from(c);
            while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                name.push(c);
            }
            out.push(name);
        } else if c == ':' && chars.next_if_eq(&':').is_some() {
            out.push("::".to_owned());
        } else if !c.is_whitespace() {
            out.push(c.to_string());
        }
    }
    out
}

/// Resolves leading `self` and `super` against the file's own module.
fn absolute(name: &str, path: Vec<String>) -> Vec<String> {
    let mut module: Vec<String> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    let ups = path.iter().take_while(|s| *s == "super" || *s == "self").count();
    if ups == 0 {
        return path;
    }
    let supers = path[..ups].iter().filter(|s| *s == "super").count();
    module.truncate(module.len().saturating_sub(supers));
    std::iter::once("crate".to_owned()).chain(module).chain(path[ups..].iter().cloned()).collect()
}
