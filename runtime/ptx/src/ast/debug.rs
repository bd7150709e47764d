//! What a text says about its source (PTX ISA 11.5).

use super::{Int, Type};

/// `.file 1 "name", timestamp, size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName<'t> {
    pub index: u32,
    pub name: &'t str,
    /// Time and size where the text gives them.
    pub stamp: Option<(u64, u64)>,
    pub line: u32,
}

/// Index into the locations of a [`Function`](super::Function).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocationId(pub u32);

/// A place in a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Number of a `.file`.
    pub file: u32,
    pub line: u32,
    pub column: u32,
}

/// `.loc 1 20 5, function_name label, inlined_at 1 30 7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'t> {
    pub position: Position,
    /// The inlined function that `position` lies in.
    pub function_name: Option<FunctionName<'t>>,
    /// Where it was inlined: the position of another `.loc`.
    pub inlined_at: Option<Position>,
}

/// A place in the debug sections where the name of a function stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionName<'t> {
    pub label: &'t str,
    /// Bytes behind the label.
    pub offset: u64,
}

/// `.section .debug_str { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<'t> {
    /// Without the dot.
    pub name: &'t str,
    pub items: Vec<SectionItem<'t>>,
    /// Line of `.section`.
    pub line: u32,
    /// Line of `}`.
    pub end: u32,
}

/// A line of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionItem<'t> {
    Label {
        name: &'t str,
        line: u32,
    },
    /// `.b8 1, 2`.
    Data {
        ty: Type,
        values: Vec<SectionValue<'t>>,
        line: u32,
    },
}

/// A value of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionValue<'t> {
    Int(Int),
    /// `plus - minus + offset`; a name with a dot is that of a section.
    Label {
        plus: &'t str,
        minus: Option<&'t str>,
        offset: i64,
    },
}

impl Section<'_> {
    /// The text up to a zero byte at `label` plus `offset` bytes, if this section has the label.
    fn find(&self, label: &str) -> Option<&[SectionItem<'_>]> {
        let at =
            self.items.iter().position(|item| matches!(item, SectionItem::Label { name, .. } if *name == label))?;
        Some(&self.items[at..])
    }

    pub(super) fn text(&self, label: &str, offset: u64) -> Option<String> {
        let bytes = self.find(label)?.iter().flat_map(|item| match item {
            SectionItem::Data { ty: Type::B8, values, .. } => &values[..],
            _ => &[],
        });
        let bytes: Vec<u8> = bytes
            .skip(usize::try_from(offset).ok()?)
            .map_while(|value| match value {
                SectionValue::Int(int) if int.bits & 0xff != 0 => Some(int.bits as u8),
                _ => None,
            })
            .collect();
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}
