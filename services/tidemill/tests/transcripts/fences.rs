//! The fenced blocks of a Markdown file.

/// What stands between two fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// First line in the file, from 1.
    pub(crate) line: usize,
    /// The word behind the opening fence.
    pub(crate) language: String,
    /// The lines.
    pub(crate) text: String,
}

/// Programs whose call makes a block without a language one of commands.
const PROGRAMS: [&str; 12] =
    ["tidemill", "cargo", "nats", "docker", "docker-compose", "pip", "python3", "curl", "git", "sh", "ls", "cd"];

pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (at, line) in markdown.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(language) if !open => {
                found.push(Block { line: at + 2, language: language.trim().to_owned(), text: String::new() });
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    found
}

impl Block {
    /// Whether a reader would type it into a shell.
    pub(crate) fn is_shell(&self) -> bool {
        let first = self.text.split_whitespace().next().unwrap_or_default();
        match self.language.as_str() {
            "sh" | "bash" | "shell" | "console" => true,
            "" => PROGRAMS.contains(&first),
            _ => false,
        }
    }

    /// Its commands: continued lines are joined, remarks are left out, here-documents kept together.
    pub(crate) fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        let (mut continued, mut until) = (false, None::<String>);
        for line in self.text.lines() {
            if let Some(end) = &until {
                let command = commands.last_mut().unwrap();
                command.push('\n');
                command.push_str(line);
                if line == end {
                    until = None;
                }
                continue;
            }
            if !continued && (line.trim().is_empty() || line.trim_start().starts_with('#')) {
                continue;
            }
            match commands.last_mut().filter(|_| continued) {
                Some(command) => {
                    command.push('\n');
                    command.push_str(line);
                }
                None => commands.push(line.trim_start_matches("$ ").to_owned()),
            }
            continued = line.ends_with('\\');
            until = line.split_once("<<").map(|(_, end)| end.trim_matches(['\'', '"', '-', ' ']).to_owned());
        }
        commands
    }
}

#[test]
fn commands_are_read_as_a_reader_types_them() {
    let text = "a\n```\ncargo demo\n```\nb\n```sh\n# first\nnats req \\\n  x\ncat > f <<EOF\n# kept\nEOF\n```\n```\n month  flights\n```\n";
    let blocks = blocks(text);
    assert_eq!(blocks.iter().map(Block::is_shell).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(blocks[0].line, 3);
    assert_eq!(blocks[1].commands(), ["nats req \\\n  x", "cat > f <<EOF\n# kept\nEOF"]);
}
