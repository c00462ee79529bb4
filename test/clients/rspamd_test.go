package clients

var rspamdClients []client
