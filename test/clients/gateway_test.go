package clients

import "slices"

// gatewayClients scan what passes through servers other than mail servers.
var gatewayClients = slices.Concat(cicapClients, proftpdClients)
