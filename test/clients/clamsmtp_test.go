package clients

var clamsmtpClients []client
