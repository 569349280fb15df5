// Any table of the page as a CSV file.

function cell(value) {
  if (value === null || value === undefined) return "";
  // A leading = + - @ of foreign text would be run as a formula by spreadsheets.
  const body = typeof value === "string" && /^[=+\-@\t]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(body) ? `"${body.replaceAll('"', '""')}"` : body;
}

/** Rows (first the header) as CSV. */
export function csv(rows) {
  return `${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** Hand the reader a file of these rows. */
export function save(name, rows) {
  const url = URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
