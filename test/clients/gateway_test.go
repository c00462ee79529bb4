package clients

import "slices"

// gatewayClients scan what passes through a server that is not for mail.
var gatewayClients = slices.Concat(cicapClients, proftpdClients)
