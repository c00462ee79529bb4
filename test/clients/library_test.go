package clients

var libraryClients []client
