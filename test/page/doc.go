// Package page opens the status page in Chromium.
package page
