package clients

var eximClients []client
