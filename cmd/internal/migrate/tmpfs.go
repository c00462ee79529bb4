package migrate
func (m *Machine) lookTemporary() {}
func (m *Machine) planTemporary() (t tmpfs, why string) { return t, "" }
