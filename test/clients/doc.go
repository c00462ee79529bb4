// Package clients runs the real programs that speak to clamd against polyclamd and
// against clamd itself, and reports what each of them concludes.
//
// A client is a row of the table that TestClients prints. It runs with the
// configuration from its recipe in docs/clients: the tests run the recipes' own blocks.
// A case is a column: an object and the state of the engines. A client turns a case
// into one of a few outcomes. If it passes an object as clean that no engine scanned,
// the test fails, unless the row marks the cell and gives the reason.
package clients
