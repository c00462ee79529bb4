// Package clients drives the programs that speak to clamd, the real ones, against
// polyclamd and against clamd itself, and says what each of them concluded.
//
// A client is a row of the table that TestClients prints, with the configuration
// lines that its recipe in docs/clients gives it: the blocks of the recipes are
// what is run. A case is a column: a content and the state of the engines. What a
// client makes of it is one of few outcomes; one in which something that nobody
// scanned is let through as clean fails the test, unless the row marks the cell
// and says why.
package clients
