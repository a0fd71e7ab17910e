//! Which cells of the KV cache are taken, and by how many texts.

/// One token's place in the KV cache. Texts that begin alike share cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell(usize);

/// Counts who holds each cell. A running text cannot do without its cells, a
/// remembered one can.
pub(super) struct Cells {
    holders: Vec<Holders>,
    free: Vec<Cell>,
    /// Cells that running texts hold.
    pinned: usize,
}

#[derive(Clone, Copy, Default)]
struct Holders {
    running: usize,
    remembered: usize,
}

impl Cells {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            holders: vec![Holders::default(); capacity],
            free: (0..capacity).rev().map(Cell).collect(),
            pinned: 0,
        }
    }

    /// Takes a free cell for a running text.
    pub(super) fn take(&mut self) -> Option<Cell> {
        let cell = self.free.pop()?;
        self.pin(cell);
        Some(cell)
    }

    /// One more running text holds `cell`.
    pub(super) fn pin(&mut self, cell: Cell) {
        let holders = &mut self.holders[cell.0];
        self.pinned += usize::from(holders.running == 0);
        holders.running += 1;
    }

    /// A running text no longer holds `cell`.
    pub(super) fn unpin(&mut self, cell: Cell) {
        self.holders[cell.0].running -= 1;
        self.pinned -= usize::from(self.holders[cell.0].running == 0);
        self.reclaim(cell);
    }

    /// A text that ran is remembered.
    pub(super) fn retire(&mut self, cell: Cell) {
        self.holders[cell.0].remembered += 1;
        self.unpin(cell);
    }

    /// A remembered text is forgotten.
    pub(super) fn forget(&mut self, cell: Cell) {
        self.holders[cell.0].remembered -= 1;
        self.reclaim(cell);
    }

    /// Whether a running text holds `cell`.
    pub(super) fn is_pinned(&self, cell: Cell) -> bool {
        self.holders[cell.0].running > 0
    }

    /// Cells that nobody holds.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Cells that no running text holds.
    pub(super) fn unpinned(&self) -> usize {
        self.holders.len() - self.pinned
    }

    /// Cells that are held.
    pub(super) fn used(&self) -> usize {
        self.holders.len() - self.free.len()
    }

    fn reclaim(&mut self, cell: Cell) {
        let holders = self.holders[cell.0];
        if holders.running + holders.remembered == 0 {
            self.free.push(cell);
        }
    }
}
