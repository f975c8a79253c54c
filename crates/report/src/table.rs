//! Text tables: rows of cells, of which the first row is the heading.

use console::measure_text_width;
use sysforge_plan::text::escaped;

/// Formats a table if it fits into `columns`, or else a block for each row, with a line for each
/// cell.
pub fn fitted(rows: &[Vec<String>], columns: Option<usize>) -> String {
    let text = table(rows);
    let width = text.lines().map(measure_text_width).max();
    let (Some(columns), Some((head, rows))) = (columns, rows.split_first()) else {
        return text;
    };
    if width.unwrap_or_default() <= columns {
        return text;
    }
    let label = head.iter().skip(1).map(|cell| measure_text_width(cell));
    let label = label.max().unwrap_or_default();
    let block = |row: &Vec<String>| {
        let mut block = String::new();
        for (number, (name, cell)) in head.iter().zip(row).enumerate() {
            let cell = escaped(cell);
            match number {
                0 => block.push_str(&cell),
                _ if cell.is_empty() => continue,
                _ => block.push_str(&format!("  {name:label$}  {cell}")),
            }
            block.push('\n');
        }
        block
    };
    rows.iter().map(block).collect()
}

/// Aligns columns: the first to the left, the last too if it has no heading, because it contains
/// remarks, and the others to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    // Escape first, so that each row is one line and widths are those of the shown text.
    let shown = |row: &Vec<String>| row.iter().map(|cell| escaped(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| measure_text_width(cell))
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let remarks = rows
        .first()
        .and_then(|head| head.last())
        .is_some_and(String::is_empty);
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                let space = " ".repeat(width.saturating_sub(measure_text_width(cell)));
                if column == 0 || (remarks && column + 1 == columns) {
                    format!("{cell}{space}")
                } else {
                    format!("{space}{cell}")
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_becomes_blocks() {
        let rows = [
            ["image", "Julia", "file"],
            ["demo", "1.12.7", "/a/long/path"],
        ];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(fitted(&rows, None), table(&rows));
        assert_eq!(fitted(&rows, Some(40)), table(&rows));
        assert_eq!(
            fitted(&rows, Some(20)),
            "demo\n  Julia  1.12.7\n  file   /a/long/path\n"
        );
    }

    #[test]
    fn columns_are_as_wide_as_they_are_shown() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let text = table(&[row(["测试", "1"]), row(["a", "22"]), row(["x\ny", "3"])]);
        assert_eq!(text, "测试   1\na     22\nx\\ny   3\n");
    }
}
