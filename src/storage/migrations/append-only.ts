/** SQL that makes a table refuse UPDATE, DELETE and TRUNCATE, from its owner as well. */
export function appendOnly(table: string): string {
  return `
create trigger append_only before update or delete on ${table} for each row execute function platen_refuse();
create trigger append_only_truncate before truncate on ${table} for each statement execute function platen_refuse()`;
}
