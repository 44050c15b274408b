//! Pages of docs/ whose lines are run as they stand there: each block on a port of its own, in a
//! folder of its own, and what is printed is compared, where `…` stands for anything.

use std::fs;
use std::path::Path;

use crate::support::{Folder, free_port, shell};

/// A command, and the lines that it is said to print.
struct Step {
    command: String,
    expected: Vec<String>,
}

/// A page of docs/.
pub(crate) fn page(name: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::read_to_string(page.join(name)).unwrap()
}

/// The blocks of a page, each its steps. A block that begins with no command is left out.
fn blocks(page: &str) -> Vec<Vec<Step>> {
    let mut blocks = vec![Vec::new()];
    for line in page.lines() {
        let block: &mut Vec<Step> = blocks.last_mut().unwrap();
        match line.strip_prefix("    ") {
            None if block.is_empty() => {}
            None => blocks.push(Vec::new()),
            Some(code) => match (code.strip_prefix("$ "), block.last_mut()) {
                (Some(command), _) => block.push(Step {
                    command: command.to_owned(),
                    expected: Vec::new(),
                }),
                (None, Some(step)) => step.expected.push(code.to_owned()),
                (None, None) => {}
            },
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// One script of a block: servers are waited for until they say something, and before each other
/// command stands a mark.
fn script(block: &[Step]) -> String {
    let mut script = String::from("PATH=$TOOLS:$PATH\ncd $FOLDER\ntrap 'kill $(jobs -p)' EXIT\n");
    for step in block {
        script += &match step.command.strip_suffix(" &") {
            Some(server) => format!(
                "{server} >bound 2>log </dev/null &\n\
                 until [ -s bound ] || [ -s log ]; do sleep 0.02; done\n"
            ),
            None => format!("echo MARK\n{{ {}; }} 2>&1 </dev/null\n", step.command),
        };
    }
    script + "true\n"
}

fn is_like(line: &str, expected: &str) -> bool {
    let parts: Vec<_> = expected.split('…').collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    line.strip_prefix(first)
        .is_some_and(|rest| rest.is_empty() || parts.len() > 1 && rest.ends_with(last))
}

/// A guide to be followed.
pub(crate) struct Guide<'a> {
    pub(crate) page: &'a str,
    /// The port of the page, in place of which each block has its own.
    pub(crate) port: &'a str,
    /// Where `stream-socket` is.
    pub(crate) tools: &'a Folder,
    /// Makes the files that the page names.
    pub(crate) files: fn() -> Folder,
}

impl Guide<'_> {
    /// Does all that it says, and sees that it comes out as it says; how many blocks there are.
    pub(crate) fn follow(&self) -> usize {
        let blocks = blocks(self.page);
        for block in &blocks {
            self.follow_block(block);
        }
        blocks.len()
    }

    fn follow_block(&self, block: &[Step]) {
        let (folder, port) = ((self.files)(), free_port());
        let script = script(block).replace(self.port, &port);
        let (tools, here) = (self.tools.text(""), folder.text(""));
        let outcome = shell(&script, &[("FOLDER", &here), ("TOOLS", &tools)]);
        let printed: Vec<_> = outcome.text().split("MARK\n").skip(1).collect();
        let is_asked = |step: &&Step| !step.command.ends_with(" &");
        let asked: Vec<_> = block.iter().filter(is_asked).collect();
        assert_eq!(printed.len(), asked.len(), "{outcome:?}");
        for (step, printed) in asked.into_iter().zip(printed) {
            let expected: Vec<_> = step
                .expected
                .iter()
                .map(|line| line.replace(self.port, &port))
                .collect();
            let printed: Vec<_> = printed.lines().collect();
            let mut pairs = printed.iter().zip(&expected);
            let is_right = printed.len() == expected.len()
                && pairs.all(|(line, expected)| is_like(line, expected));
            let command = &step.command;
            assert!(is_right, "{command}: {printed:?} is not {expected:?}");
        }
    }
}
