//! Which cells of the KV cache are taken, and by how many texts.

/// One token's place in the KV cache. Texts that begin alike share cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell(usize);

/// Counts the running texts that hold each cell.
pub(super) struct Cells {
    holders: Vec<usize>,
    free: Vec<Cell>,
}

impl Cells {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            holders: vec![0; capacity],
            free: (0..capacity).rev().map(Cell).collect(),
        }
    }

    /// Takes a free cell.
    pub(super) fn take(&mut self) -> Option<Cell> {
        let cell = self.free.pop()?;
        self.holders[cell.0] = 1;
        Some(cell)
    }

    /// One more text holds `cell`.
    pub(super) fn share(&mut self, cell: Cell) {
        self.holders[cell.0] += 1;
    }

    /// A text no longer holds `cell`.
    pub(super) fn release(&mut self, cell: Cell) {
        self.holders[cell.0] -= 1;
        if self.holders[cell.0] == 0 {
            self.free.push(cell);
        }
    }

    /// Cells that nobody holds.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Cells that are held.
    pub(super) fn used(&self) -> usize {
        self.holders.len() - self.free.len()
    }
}
