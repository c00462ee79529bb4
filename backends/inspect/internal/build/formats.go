package build

// Numbers and signatures from the specifications of the formats. The builders do not share
// the parsers' constants, so that the tests can find mistakes in them.
const (
	ALZFile            = "BLZ\x01"
	ALZSignature       = "ALZ\x01"
	ARJSignature       = "`\xea"
	EGGBlock           = 45419539
	EGGEncrypted       = 147932943
	EGGEnd             = 149062178
	EGGFile            = 176525539
	EGGName            = 176525740
	EGGSignature       = "EGGA"
	EGGWindows         = 747017483
	PGPMarker          = 10
	ODFManifest        = "META-INF/manifest.xml"
	ODFNamespace       = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
	OLEEndChain        = 4294967294
	OLEMiniShift       = 6
	OLERoot            = 5
	OLESignature       = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	OLEStream          = 2
	PGPAuthentic       = 20
	PGPEncrypted       = 9
	PGPKey             = 1
	PGPPassword        = 3
	PGPProtected       = 18
	RAR4End            = 123
	RAR4File           = 116
	RAR4FileEncrypted  = 4
	RAR4FileLarge      = 256
	RAR4FileSolid      = 16
	RAR4HasData        = 32768
	RAR4Main           = 115
	RAR4MainEncrypted  = 128
	RAR5Encrypt        = 4
	RAR5End            = 5
	RAR5ExtraEncrypted = 1
	RAR5File           = 2
	RAR5HasData        = 2
	RAR5HasExtra       = 1
	RAR5HasSum         = 4
	RARSignature       = "Rar!\x1a\a"
	RARSignature4      = "Rar!\x1a\a\x00"
	RARSignature5      = "Rar!\x1a\a\x01\x00"
	SevenEnd           = 0
	SevenFilesInfo     = 5
	SevenFolderID      = 11
	SevenHeader        = 1
	SevenMainStreams   = 4
	SevenNames         = 17
	SevenPackInfo      = 6
	SevenSignature     = "7z\xbc\xaf'\x1c"
	SevenSize          = 9
	SevenStartSize     = 32
	SevenUnpackInfo    = 7
	SevenUnpackSize    = 12
	ZipCentral         = "PK\x01\x02"
	ZipEnd             = "PK\x05\x06"
	ZipEnd64           = "PK\x06\x06"
	ZipEnd64Locate     = "PK\x06\a"
	ZipEnd64Size       = 56
	ZipLocal           = "PK\x03\x04"
)
