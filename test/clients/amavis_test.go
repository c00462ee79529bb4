package clients

var amavisClients []client
