package clients

var gatewayClients []client
