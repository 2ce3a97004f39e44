//! Small programs whose next build has moved: what the reference-aware codec is for.

/// Numbers that look random.
struct Linear(u64);

impl Linear {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

const BASE: u64 = 0x40_0000;
/// Where the code of a program begins.
pub(crate) const CODE: usize = 0x1000;

/// A small x86-64 program: functions that call each other and read data, then pointers to all functions. Function
/// `longer`, if there is one, has grown, so that everything behind it lies further back.
pub(crate) fn of(functions: usize, longer: Option<usize>) -> Vec<u8> {
    let mut seed = Linear(42);
    let mut bodies = Vec::new();
    for index in 0..functions {
        let mut parts = Vec::new();
        for _ in 0..4 + seed.below(8) {
            let call = seed.below(3) == 0;
            let filler: Vec<u8> = (0..3 + seed.below(20)).map(|_| 0x50 + seed.byte() % 16).collect();
            parts.push((filler, call, seed.below(functions)));
        }
        if longer == Some(index) {
            let mut own = Linear(7);
            parts.push(((0..300).map(|_| own.byte()).collect(), true, 0));
        }
        bodies.push(parts);
    }
    let mut starts = Vec::new();
    let mut at = CODE;
    for body in &bodies {
        starts.push(at);
        at += body.iter().map(|(filler, ..)| filler.len() + 7).sum::<usize>() + 1;
    }
    let data = at.next_multiple_of(16);
    let mut file = vec![0; CODE];
    for body in &bodies {
        for (filler, call, callee) in body {
            file.extend(filler);
            let (opcode, target): (&[u8], usize) = if *call {
                (&[0x66, 0x90, 0xE8], starts[*callee])
            } else {
                (&[0x48, 0x8D, 0x3D], data + 8 * callee)
            };
            file.extend(opcode);
            file.extend((target as i32 - (file.len() as i32 + 4)).to_le_bytes());
        }
        file.push(0xC3);
    }
    file.resize(data, 0);
    for start in &starts {
        file.extend((BASE + *start as u64).to_le_bytes());
    }
    // Header, one segment for all, three sections: none, code, pointers; their names.
    let names = file.len();
    file.extend(b"\0.text\0.data\0");
    file.resize(file.len().next_multiple_of(8), 0);
    let sections = file.len();
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, &[3, 0, 62, 0]);
    put(&mut file, 32, &64_u64.to_le_bytes());
    put(&mut file, 40, &(sections as u64).to_le_bytes());
    put(&mut file, 54, &[56, 0, 1, 0, 64, 0, 4, 0, 3, 0]);
    put(&mut file, 64, &[1, 0, 0, 0, 7, 0, 0, 0]);
    for (index, word) in [0, BASE, BASE, sections as u64, sections as u64].into_iter().enumerate() {
        put(&mut file, 72 + 8 * index, &word.to_le_bytes());
    }
    let mut section = |name: u32, kind: u32, flags: u64, start: usize, end: usize| {
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        for word in [flags, BASE + start as u64, start as u64, (end - start) as u64, 0, 0, 0] {
            file.extend(word.to_le_bytes());
        }
    };
    section(0, 0, 0, 0, 0);
    section(1, 1, 6, CODE, data);
    section(7, 1, 3, data, names);
    section(0, 3, 0, names, names + 13);
    file
}
