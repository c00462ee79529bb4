package clients

var mimedefangClients []client
