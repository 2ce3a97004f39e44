//! Builds that behave like executables: functions that call each other by relative address, so that one insertion moves
//! thousands of bytes elsewhere, as a real linker does.

use crate::seed::Seed;

/// A made-up program. Equal seeds give equal bytes.
#[derive(Debug, Clone)]
pub struct Program {
    functions: Vec<Vec<Instruction>>,
    strings: Vec<String>,
}

#[derive(Debug, Clone)]
enum Instruction {
    Plain(Vec<u8>),
    /// A call of another function, by its number: four bytes of relative address once it is linked.
    Call(usize),
}

impl Program {
    /// A program of so many functions, some 120 bytes each.
    #[must_use]
    pub fn seeded(seed: u64, functions: usize) -> Self {
        let mut seed = Seed::new(seed);
        let vocabulary = vocabulary(&mut seed);
        let functions = (0..functions).map(|_| function(&mut seed, &vocabulary, functions)).collect();
        let strings = (0..64).map(|index| format!("message {index}: {:x}", seed.number())).collect();
        Self { functions, strings }
    }

    /// The next version: a few functions changed, one inserted in the middle, one message reworded.
    #[must_use]
    pub fn edited(&self, seed: u64) -> Self {
        let mut seed = Seed::new(seed ^ 0x5eed);
        let vocabulary = vocabulary(&mut seed);
        let mut next = self.clone();
        let count = next.functions.len();
        for _ in 0..=count / 100 {
            let index = seed.below(count);
            next.functions[index] = function(&mut seed, &vocabulary, count);
        }
        next.functions.insert(count / 2, function(&mut seed, &vocabulary, count));
        let index = seed.below(next.strings.len());
        next.strings[index] = format!("message {index}, reworded: {:x}", seed.number());
        next
    }

    /// The file.
    #[must_use]
    pub fn link(&self) -> Vec<u8> {
        let len = |function: &Vec<Instruction>| function.iter().map(Instruction::len).sum::<usize>();
        let starts: Vec<usize> = self
            .functions
            .iter()
            .scan(64, |start, function| {
                let this = *start;
                *start += len(function);
                Some(this)
            })
            .collect();
        let mut file = b"\x7fPROGRAM".to_vec();
        file.resize(64, 0);
        for function in &self.functions {
            for instruction in function {
                match instruction {
                    Instruction::Plain(bytes) => file.extend_from_slice(bytes),
                    Instruction::Call(callee) => {
                        let from = file.len() + 5;
                        let relative = (starts[callee % starts.len()] as i64 - from as i64) as i32;
                        file.push(0xe8);
                        file.extend_from_slice(&relative.to_le_bytes());
                    }
                }
            }
        }
        for string in &self.strings {
            file.extend_from_slice(string.as_bytes());
            file.push(0);
        }
        file
    }
}

impl Instruction {
    fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Call(_) => 5,
        }
    }
}

fn vocabulary(seed: &mut Seed) -> Vec<Vec<u8>> {
    (0..256)
        .map(|_| {
            let len = 2 + seed.below(5);
            seed.bytes(len)
        })
        .collect()
}

fn function(seed: &mut Seed, vocabulary: &[Vec<u8>], functions: usize) -> Vec<Instruction> {
    let len = 20 + seed.below(20);
    (0..len)
        .map(|_| match seed.below(8) {
            0 => Instruction::Call(seed.below(functions)),
            _ => Instruction::Plain(vocabulary[seed.below(vocabulary.len())].clone()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn equal_seeds_link_to_equal_files_and_edits_move_addresses() {
        let program = Program::seeded(1, 200);
        let (old, new) = (program.link(), program.edited(2).link());
        assert_eq!(old, Program::seeded(1, 200).link());
        assert_ne!(old.len(), new.len());
        assert!(old.len() > 15_000);
    }
}
