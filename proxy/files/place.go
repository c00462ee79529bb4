package files

import "golang.org/x/sys/unix"

// A place is what is known of the file system of a file.
type place int

const (
	foreign   place = iota // anything else: FUSE, NFS, SMB, 9p, overlayfs, ...
	local                  // on a disk of this host
	memory                 // a memfd, tmpfs or hugetlbfs: reading never waits
	generated              // made up by the kernel when it is read
)

// localTypes are the file systems on disks of this host that only root can mount, by
// the f_type of statfs(2): the kernel itself finishes every operation.
//
// overlayfs is not among them, although its files usually are: any user may mount one,
// in a namespace of theirs, over a FUSE file system, and statfs does not say so.
var localTypes = map[int64]bool{
	unix.EXT4_SUPER_MAGIC:     true, // ext2 and ext3 too
	unix.XFS_SUPER_MAGIC:      true,
	unix.BTRFS_SUPER_MAGIC:    true,
	unix.F2FS_SUPER_MAGIC:     true,
	unix.EROFS_SUPER_MAGIC_V1: true,
	unix.SQUASHFS_MAGIC:       true,
	unix.ISOFS_SUPER_MAGIC:    true,
	unix.UDF_SUPER_MAGIC:      true,
	unix.MSDOS_SUPER_MAGIC:    true,
	unix.EXFAT_SUPER_MAGIC:    true,
	unix.REISERFS_SUPER_MAGIC: true,
	unix.NILFS_SUPER_MAGIC:    true,
	0x2fc12fc1:                true, // OpenZFS
	0xca451a4e:                true, // bcachefs
	0x3153464a:                true, // JFS
	0x7366746e:                true, // NTFS3
}

// generatedTypes are file systems whose files are made up when they are read and have
// no size: /proc and its like. clamd 1.4.6 answers OK for them without a look.
var generatedTypes = map[int64]bool{
	unix.PROC_SUPER_MAGIC: true, unix.SYSFS_MAGIC: true, unix.DEBUGFS_MAGIC: true, unix.TRACEFS_MAGIC: true,
	unix.SECURITYFS_MAGIC: true, unix.CGROUP_SUPER_MAGIC: true, unix.CGROUP2_SUPER_MAGIC: true, unix.BPF_FS_MAGIC: true,
}

// placeOf asks the file system of fd what it is. It may not answer.
func placeOf(fd int) place {
	var st unix.Statfs_t
	if err := again(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return foreign
	}
	switch kind := int64(uint32(st.Type)); {
	case generatedTypes[kind]:
		return generated
	case kind == unix.TMPFS_MAGIC, kind == unix.HUGETLBFS_MAGIC: // ramfs has the number of hugetlbfs
		return memory
	case localTypes[kind]:
		return local
	}
	return foreign
}

// again repeats a system call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
