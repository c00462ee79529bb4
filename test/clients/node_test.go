package clients

var nodeClients []client
