//! Dense matrices with named columns.

/// A dense row-major matrix: `values[row * columns + column]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<T> {
    rows: usize,
    columns: usize,
    values: Vec<T>,
}

/// What tree learners read; missing is NaN.
pub type MatrixF32 = Matrix<f32>;
/// What linear learners read; never NaN.
pub type MatrixF64 = Matrix<f64>;

impl<T: Copy> Matrix<T> {
    pub(crate) fn filled(rows: usize, columns: usize, value: T) -> Self {
        Self { rows, columns, values: vec![value; rows * columns] }
    }

    pub(crate) fn set_column(&mut self, column: usize, values: impl Iterator<Item = T>) {
        let slots = self.values.iter_mut().skip(column).step_by(self.columns);
        slots.zip(values).for_each(|(slot, value)| *slot = value);
    }

    pub(crate) fn set(&mut self, row: usize, column: usize, value: T) {
        self.values[row * self.columns + column] = value;
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row by row.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// All values, row by row, without a copy.
    #[must_use]
    pub fn into_values(self) -> Vec<T> {
        self.values
    }

    /// The values of one row.
    ///
    /// # Panics
    /// When `row` is not below [`Self::rows`].
    #[must_use]
    pub fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
}
