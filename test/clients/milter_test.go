package clients

var milterClients []client
